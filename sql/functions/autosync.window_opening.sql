-- window_opening(moment, start, stop, zone): the first instant, not before a moment, inside a daily time window.
-- requires: 0003
--
-- The window of a local date is the stretch of time from the first instant of `start` to the first instant of `stop`
-- (of the next date when stop <= start). One stretch a date: a start that clocks show twice opens it once, a start that
-- they skip opens it when the skip ends. A window that a change of clocks skips whole opens when the skip ends, for its
-- usual length; a date that was skipped whole has none.
create or replace function autosync.window_opening(moment timestamptz, start time, stop time, zone text)
returns timestamptz
language plpgsql
stable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    wall constant timestamp := moment at time zone zone;
    clock time;
    today date;
    day date;
    span interval;
    opens timestamptz;
    closes timestamptz;
begin
    -- far from any change of clocks the answer is plain subtraction, and that is nearly always
    if (moment - interval '50 hours') at time zone zone = wall - interval '50 hours'
        and (moment + interval '26 hours') at time zone zone = wall + interval '26 hours' then
        clock := cast(wall as time);
        -- a window whose end is not after its start crosses midnight
        if clock >= start and (clock < stop or stop <= start) or clock < stop and stop <= start then
            return moment;
        end if;
        -- infinity has no time of day
        return coalesce(
            moment + (start - clock + case when clock < start then interval '0' else interval '24 hours' end), moment);
    end if;

    span := stop - start + case when stop > start then interval '0' else interval '24 hours' end;
    today := cast(wall as date);
    -- -2: a skip of clocks may carry yesterday's window past midnight; 4: a date can be missing
    for step in -2 .. 4 loop
        day := today + step;
        opens := autosync.first_instant(day + start, zone);
        closes := autosync.first_instant(day + start + span, zone);
        if closes = opens then
            if autosync.first_instant(cast(day as timestamp), zone)
                = autosync.first_instant(cast(day + 1 as timestamp), zone) then
                continue;
            end if;
            closes := opens + span;
        end if;
        if closes > moment then
            return greatest(opens, moment);
        end if;
    end loop;
    raise exception 'no opening of the window % to % (%) within four days of %', start, stop, zone, moment;
end
$$;

comment on function autosync.window_opening(timestamptz, time, time, text) is
    'The first instant, not before a moment, inside a daily time window of a zone';

revoke all on function autosync.window_opening(timestamptz, time, time, text) from public;
-- for auto_sync_claim, which works with the rights of its caller
do $$
begin
    if to_regrole('service_role') is not null then
        grant execute on function autosync.window_opening(timestamptz, time, time, text) to service_role;
    end if;
end
$$;
