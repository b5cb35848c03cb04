-- window_is_open(moment, start, stop, zone): whether a moment lies inside a daily time window.
-- requires: 0003
--
-- False for a zone that the server does not know: one such row, loaded past the trigger, must not stop every claim.
create or replace function autosync.window_is_open(moment timestamptz, start time, stop time, zone text)
returns boolean
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(autosync.window_opening(moment, start, stop, zone) = moment, false);
exception when invalid_parameter_value then
    return false;
end
$$;

comment on function autosync.window_is_open(timestamptz, time, time, text) is
    'Whether a moment lies inside a daily time window of a zone';

revoke all on function autosync.window_is_open(timestamptz, time, time, text) from public;
-- for auto_sync_claim, which works with the rights of its caller
do $$
begin
    if to_regrole('service_role') is not null then
        grant execute on function autosync.window_is_open(timestamptz, time, time, text) to service_role;
    end if;
end
$$;
