-- job_command(job_name): the text that the cron job of this name must run.
-- requires: 0004
create or replace function autosync.job_command(job_name text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when job_name = 'auto-sync-cron-job' then 'select autosync.dispatch()'
        else pg_catalog.format('select autosync.dispatch(%L)', job_name)
    end
$$;

revoke all on function autosync.job_command(text) from public;

comment on function autosync.job_command(text) is 'the command of a cron job; it holds no address and no key';
