-- jobs_current(): whether cron.job has every job of autosync.job as its row says; false without pg_cron.
-- requires: 0005
create or replace function autosync.jobs_current()
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if to_regclass('cron.job') is null
        or to_regprocedure('autosync.sync_job(text)') is null
        or to_regprocedure('autosync.job_command(text)') is null
    then
        return false;
    end if;
    return (
        select count(*) = count(c.jobid)
        from autosync.job as j
        left join cron.job as c
            on c.jobname = j.name
            and c.schedule = j.schedule
            and c.command = autosync.job_command(j.name)
            and c.username = (
                select pg_get_userbyid(p.proowner)
                from pg_catalog.pg_proc as p
                where p.oid = to_regprocedure('autosync.sync_job(text)')
            )
        where not j.watch
    );
end
$$;

revoke all on function autosync.jobs_current() from public;

comment on function autosync.jobs_current() is 'whether cron.job agrees with autosync.job';
