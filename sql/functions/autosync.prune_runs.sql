-- prune_runs(): delete a bounded number of runs of our jobs that are older than their retention from pg_cron's history.
-- requires: 0005
-- cron.job_run_details has no index but runid: it is walked once, in order, for all jobs, and how far is kept. A run that
-- could not connect has no times before pg_cron 1.6.3; it is no younger than a later run, and no younger than the mark that
-- says which run was the newest at an earlier time. Rows that another session has locked are left. Returns how many went.
create or replace function autosync.prune_runs()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    newest bigint := (select max(d.runid) from cron.job_run_details as d);
    keep_from timestamptz := (select now() - max(j.keep_run_details) from autosync.job as j);
    walked bigint;
    last_old bigint;
    deleted integer;
begin
    select h.pruned_runid into walked from autosync.housekeeping as h;
    -- numbering starts again when pg_cron was dropped and created again
    if newest is null or newest < greatest(walked, (select max(m.runid) from autosync.run_mark as m)) then
        walked := 0;
        delete from autosync.run_mark as m where true;
    end if;
    if newest is not null
        and not exists (select from autosync.run_mark as m where m.marked_at > now() - interval '1 hour')
    then
        insert into autosync.run_mark (runid) values (newest)
        on conflict on constraint run_mark_pkey do update set marked_at = excluded.marked_at;
    end if;

    select greatest(
        max(o.runid) filter (where o.ended_at < keep_from),
        max(o.runid) filter (where o.runid <= m.runid)
    )
    into last_old
    from (select max(k.runid) as runid from autosync.run_mark as k where k.marked_at < keep_from) as m
    cross join lateral (
        select d.runid, coalesce(d.end_time, d.start_time) as ended_at
        from cron.job_run_details as d
        where d.runid > walked
        order by d.runid
        limit 1000
    ) as o;
    if last_old is null then
        -- a stretch of runs without times: the next that has one says how old they are, if it is not too far to look for
        select case when min(o.ended_at) filter (where o.is_next) < keep_from then max(o.runid) filter (where o.place <= 1000) end
        into last_old
        from (
            select d.runid, d.place, d.ended_at, d.place = min(d.place) filter (where d.ended_at is not null) over () as is_next
            from (
                select n.runid, row_number() over (order by n.runid) as place, coalesce(n.end_time, n.start_time) as ended_at
                from cron.job_run_details as n
                where n.runid > walked
                order by n.runid
                limit 10000
            ) as d
        ) as o;
    end if;
    if last_old is null then
        update autosync.housekeeping as h set pruned_runid = walked where h.pruned_runid <> walked;
        return 0;
    end if;

    delete from cron.job_run_details as d
    where d.runid = any (array(
        select o.runid
        from cron.job_run_details as o
        where o.runid > walked and o.runid <= last_old
            and exists (
                select
                from cron.job as c
                join autosync.job as j on j.name = c.jobname and not j.watch
                where c.jobid = o.jobid
                    and coalesce(o.end_time, o.start_time, '-infinity') < now() - j.keep_run_details
            )
        for update skip locked
    ));
    get diagnostics deleted = row_count;
    delete from autosync.run_mark as m
    where m.runid < (select max(k.runid) from autosync.run_mark as k where k.marked_at < keep_from);
    update autosync.housekeeping as h set pruned_runid = last_old;
    return deleted;
end
$$;

revoke all on function autosync.prune_runs() from public;

comment on function autosync.prune_runs() is 'keep our jobs'' runs in pg_cron''s history within their retention';
