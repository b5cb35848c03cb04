-- make_due(schedule_id): let one schedule be claimed next, if it may run now; return its state.
-- requires: 0003
--
-- due: the next claim takes it, and it alone. disabled, claimed (until its lease ends), shut (until its window opens): nothing was
-- changed, and `until` says when that ends. Null: there is no such schedule. One that waits for another try, because it
-- was claimed and never completed, is tried now.
create or replace function autosync.make_due(schedule_id uuid, out state text, out until timestamptz)
returns record
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set lock_timeout = '5s'
as $$
declare
    moment constant timestamptz := clock_timestamp();
    found_row public.auto_sync_schedules;
    asked timestamptz;
begin
    select s.* into found_row
    from public.auto_sync_schedules as s
    where s.id = make_due.schedule_id
    for no key update;
    if not found then
        return;
    end if;
    if not found_row.enabled then
        state := 'disabled';
        return;
    end if;
    if found_row.claim_expires_at > moment then
        state := 'claimed';
        until := found_row.claim_expires_at;
        return;
    end if;
    if found_row.time_window_enabled and not autosync.window_is_open(
        moment, found_row.time_window_start, found_row.time_window_end, found_row.timezone) then
        state := 'shut';
        until := autosync.window_opening(
            moment, found_row.time_window_start, found_row.time_window_end, found_row.timezone);
        return;
    end if;

    -- before all that wait for another try, and marked by two equal times: the next claim takes it, whatever else is due
    asked := least(now(), (
        select greatest(s.next_run_at, s.claim_retry_at) - interval '1 millisecond'
        from public.auto_sync_schedules as s
        where s.enabled and s.claim_retry_at is not null and isfinite(greatest(s.next_run_at, s.claim_retry_at))
        order by greatest(s.next_run_at, s.claim_retry_at)
        limit 1
    ));
    -- the trigger lets nobody set next_run_at but for this schedule, in this transaction
    perform set_config('autosync.make_due', cast(found_row.id as text), true);
    update public.auto_sync_schedules as schedule
    set next_run_at = asked, claim_retry_at = asked
    where schedule.id = found_row.id;
    perform set_config('autosync.make_due', '', true);
    state := 'due';
end
$$;

comment on function autosync.make_due(uuid) is 'let one schedule be claimed next, if it may run now';

revoke all on function autosync.make_due(uuid) from public;
