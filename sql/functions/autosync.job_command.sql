-- job_command(job_name): the text that the cron job of this name must run; null for a job that is only watched.
-- requires: 0004
create or replace function autosync.job_command(job_name text)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when j.watch then null
        when j.sql is not null then j.sql
        when job_command.job_name = 'auto-sync-cron-job' then 'select autosync.dispatch()'
        else pg_catalog.format('select autosync.dispatch(%L)', job_command.job_name)
    end
    from (select) as always
    left join autosync.job as j on j.name = job_command.job_name
$$;

revoke all on function autosync.job_command(text) from public;

comment on function autosync.job_command(text) is 'the command of a cron job; a call''s holds no address and no key';
