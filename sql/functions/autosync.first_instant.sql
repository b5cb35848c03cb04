-- first_instant(wall, zone): the first instant at which the clocks of a zone show a local time or a later one.
-- requires: 0003
--
-- A time that the clocks show twice is its first showing; a time that they skip is the instant of the skip.
create or replace function autosync.first_instant(wall timestamp, zone text)
returns timestamptz
language plpgsql
stable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    -- longer than the longest change of any zone's clocks, a whole day
    reach constant interval := interval '26 hours';
    found timestamptz := wall at time zone zone;
    earlier timestamptz;
    low bigint;
    high bigint;
    middle bigint;
begin
    if found at time zone zone = wall then
        -- Postgres reads an ambiguous time as the second showing; the first is found under the offset that held before
        earlier := found - ((found - reach) at time zone zone - (wall - reach));
        if earlier < found and earlier at time zone zone = wall then
            return earlier;
        end if;
        return found;
    end if;

    -- skipped: clocks change on whole seconds, so the second of the change can be searched for
    low := floor(extract(epoch from found - reach));
    high := ceil(extract(epoch from found));
    while high - low > 1 loop
        middle := (low + high) / 2;
        if pg_catalog.to_timestamp(middle) at time zone zone >= wall then
            high := middle;
        else
            low := middle;
        end if;
    end loop;
    return pg_catalog.to_timestamp(high);
end
$$;

comment on function autosync.first_instant(timestamp, text) is
    'The first instant at which the clocks of a zone show a local time or a later one';

revoke all on function autosync.first_instant(timestamp, text) from public;
-- for auto_sync_claim, which works with the rights of its caller
do $$
begin
    if to_regrole('service_role') is not null then
        grant execute on function autosync.first_instant(timestamp, text) to service_role;
    end if;
end
$$;
