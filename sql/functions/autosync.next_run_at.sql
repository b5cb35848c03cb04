-- next_run_at(...): when a schedule with these settings is next due; null for a disabled one.
-- requires: 0003
--
-- moment: from when a schedule that never ran may run. not_after: the wait for the frequency ends here at the latest.
create or replace function autosync.next_run_at(
    enabled boolean,
    last_run_at timestamptz,
    frequency_minutes integer,
    time_window_enabled boolean,
    time_window_start time,
    time_window_end time,
    timezone text,
    moment timestamptz,
    consecutive_failures integer default 0,
    not_after timestamptz default null
)
returns timestamptz
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    wait_minutes integer := frequency_minutes;
    earliest timestamptz := moment;
begin
    if enabled is not true then
        return null;
    end if;
    if last_run_at is not null then
        if consecutive_failures > 1 then
            -- doubles with every failure, up to a day; never sooner than a healthy run
            wait_minutes := greatest(
                frequency_minutes,
                least(1440, frequency_minutes * cast(power(2, least(consecutive_failures - 1, 11)) as integer))
            );
        end if;
        earliest := least(last_run_at + make_interval(mins => wait_minutes), not_after);
    end if;
    if time_window_enabled then
        return autosync.window_opening(earliest, time_window_start, time_window_end, timezone);
    end if;
    return earliest;
end
$$;

comment on function autosync.next_run_at(
    boolean, timestamptz, integer, boolean, time, time, text, timestamptz, integer, timestamptz
) is 'When a schedule with these settings is next due; null for a disabled one';

revoke all on function autosync.next_run_at(
    boolean, timestamptz, integer, boolean, time, time, text, timestamptz, integer, timestamptz
) from public;
