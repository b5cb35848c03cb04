-- move_shut_windows(max_rows): move due schedules whose time window is shut to its next opening; return how many.
-- requires: 0003
--
-- Without it whatever missed its window, because nobody came in time, stays at the front of what is due. Rows that wait
-- behind one shut window are found in one step each minute, so that a call costs little more than what it moves.
create or replace function autosync.move_shut_windows(max_rows integer default 1000)
returns integer
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
    moment constant timestamptz := now();
    this_minute constant timestamptz := date_bin('1 minute', moment, timestamptz '2000-01-01 00:00+00');
    met record;
    opening timestamptz;
    after_minute timestamptz := '-infinity';
    after_window integer := 0;
    found_rows uuid[];
    moved integer := 0;
    changed integer;
begin
    -- 2000 steps at most
    for step in 1 .. 2000 loop
        exit when moved >= max_rows;
        select s.time_window_enabled, s.time_window_start, s.time_window_end, s.timezone,
            date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
            case when s.time_window_enabled
                then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end
                as time_window
        into met
        from public.auto_sync_schedules as s
        where s.enabled and s.claim_retry_at is null
            and (
                date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00'),
                case when s.time_window_enabled
                    then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end,
                coalesce(uuid_hash_extended(s.organization_id, 0), 0)
            ) > (after_minute, after_window, 9223372036854775807)
            and date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') <= this_minute
        order by 5, 6, coalesce(uuid_hash_extended(s.organization_id, 0), 0), s.next_run_at
        limit 1;
        exit when not found;
        after_minute := met.minute;
        after_window := met.time_window;
        continue when not met.time_window_enabled;
        begin
            opening := autosync.window_opening(moment, met.time_window_start, met.time_window_end, met.timezone);
        exception
            -- a zone that the server no longer knows: schedule_windows_reachable names it
            when invalid_parameter_value then continue;
        end;
        continue when opening = moment;
        found_rows := array(
            select s.id
            from public.auto_sync_schedules as s
            where s.enabled and s.claim_retry_at is null
                and date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') = met.minute
                and case when s.time_window_enabled
                    then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end
                    = met.time_window
                and s.next_run_at < moment
                and (s.claim_expires_at is null or s.claim_expires_at <= moment)
                and s.time_window_enabled and s.timezone = met.timezone
                and s.time_window_start = met.time_window_start and s.time_window_end = met.time_window_end
            limit max_rows - moved
            for no key update skip locked
        );
        -- the trigger computes the same
        update public.auto_sync_schedules as schedule set next_run_at = opening where schedule.id = any (found_rows);
        get diagnostics changed = row_count;
        moved := moved + changed;
    end loop;
    -- those that wait for another try are few
    found_rows := array(
        select s.id
        from public.auto_sync_schedules as s
        where s.enabled and s.claim_retry_at is not null and greatest(s.next_run_at, s.claim_retry_at) <= moment
            and s.time_window_enabled
            and autosync.is_time_zone(s.timezone)
            and not autosync.window_is_open(moment, s.time_window_start, s.time_window_end, s.timezone)
        order by greatest(s.next_run_at, s.claim_retry_at)
        limit greatest(0, max_rows - moved)
        for no key update skip locked
    );
    update public.auto_sync_schedules as schedule set next_run_at = moment where schedule.id = any (found_rows);
    get diagnostics changed = row_count;
    return moved + changed;
end
$$;

comment on function autosync.move_shut_windows(integer) is
    'Move due schedules whose time window is shut to its next opening';

revoke all on function autosync.move_shut_windows(integer) from public;
