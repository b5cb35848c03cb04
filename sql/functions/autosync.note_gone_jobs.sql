-- note_gone_jobs(): write down since when pg_cron's history has runs of jobs that are not in cron.job. Returns how many are new.
-- requires: 0005
-- When a job was unscheduled pg_cron keeps nowhere. A run that begins after a moment at which it was seen to be gone shows that
-- pg_cron's process still has it in memory (launcher_matches_table). Called by keep_house(); mostly there is nothing to write.
create or replace function autosync.note_gone_jobs()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    before jsonb := (select s.value from autosync.setting as s where s.name = 'gone_jobs');
    gone jsonb;
begin
    if row_security_active('cron.job') or row_security_active('cron.job_run_details') then
        return 0;
    end if;
    -- one that is no longer among the newest runs is forgotten, so that this stays small
    select coalesce(jsonb_object_agg(g.jobid, coalesce(before -> g.jobid::text, to_jsonb(clock_timestamp()))), '{}')
    into gone
    from (
        select d.jobid
        from (select n.jobid from cron.job_run_details as n order by n.runid desc limit 1000) as d
        where not exists (select from cron.job as c where c.jobid = d.jobid)
        group by d.jobid
        order by d.jobid desc
        limit 200
    ) as g;
    if gone = coalesce(before, '{}') then
        return 0;
    end if;
    insert into autosync.setting as s (name, value) values ('gone_jobs', gone)
    on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp();
    return (select count(*) from jsonb_object_keys(gone) as k (jobid) where before is null or not before ? k.jobid);
end
$$;

revoke all on function autosync.note_gone_jobs() from public;

comment on function autosync.note_gone_jobs() is 'since when pg_cron has runs of jobs that are not in cron.job';
