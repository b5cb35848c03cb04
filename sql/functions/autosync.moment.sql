-- moment(instant): a moment as the findings write it, in UTC: the time alone when it was today.
-- requires: 0005
create or replace function autosync.moment(instant timestamptz)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when (instant at time zone 'UTC')::date = (now() at time zone 'UTC')::date then to_char(instant at time zone 'UTC', 'HH24:MI "UTC"')
        else to_char(instant at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
    end
$$;

revoke all on function autosync.moment(timestamptz) from public;

comment on function autosync.moment(timestamptz) is 'a moment as the findings write it';
