-- prune(job_name): delete a bounded number of a job's rows that are older than its retention; return how many.
-- requires: 0005
-- Called by dispatch() on every tick. Small deletes by primary key, so that pg_cron's launcher never waits for a lock.
create or replace function autosync.prune(job_name text)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    job autosync.job;
    deleted integer := 0;
    step integer;
    last_seen bigint;
    looked_to bigint;
    timed bigint;
begin
    select j.* into job from autosync.job as j where j.name = prune.job_name;

    delete from autosync.tick as t
    where t.id in (
        select o.id
        from (
            select k.id, k.ticked_at
            from autosync.tick as k
            where k.job_name = prune.job_name
            order by k.id
            limit 1000
        ) as o
        where o.ticked_at < now() - job.keep_invocations
    );
    get diagnostics deleted = row_count;

    -- cron.job_run_details has no index but runid: walk it once, in order, and remember how far;
    -- numbering starts again when pg_cron was dropped and created again
    if job.pruned_runid > coalesce((select max(d.runid) from cron.job_run_details as d), 0) then
        job.pruned_runid := 0;
    end if;
    select max(o.runid) filter (where o.ended_at < now() - job.keep_run_details), max(o.runid), count(o.ended_at)
    into last_seen, looked_to, timed
    from (
        select d.runid, coalesce(d.end_time, d.start_time) as ended_at
        from cron.job_run_details as d
        where d.runid > job.pruned_runid
        order by d.runid
        limit 1000
    ) as o;

    -- a run that could not connect has no times before pg_cron 1.6.3: it is no younger than the next that has
    if timed = 0 and (
        select coalesce(d.end_time, d.start_time)
        from cron.job_run_details as d
        where d.runid > looked_to and coalesce(d.end_time, d.start_time) is not null
        order by d.runid
        limit 1
    ) < now() - job.keep_run_details then
        last_seen := looked_to;
    end if;

    if last_seen is not null then
        delete from cron.job_run_details as d
        using cron.job as c
        where d.runid > job.pruned_runid
            and d.runid <= last_seen
            and d.jobid = c.jobid
            and c.jobname = prune.job_name
            and coalesce(d.end_time, d.start_time, now() - job.keep_run_details) <= now() - job.keep_run_details;
        get diagnostics step = row_count;
        deleted := deleted + step;
        update autosync.job as j set pruned_runid = last_seen where j.name = prune.job_name;
    end if;
    return deleted;
end
$$;

revoke all on function autosync.prune(text) from public;

comment on function autosync.prune(text) is 'keep the ledger and the job''s history within their retention';
