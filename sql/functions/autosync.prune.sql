-- prune(): delete a bounded number of rows of the ledger that are older than their job's retention, or whose job is gone.
-- requires: 0005
-- A job's newest tick and its newest call with an outcome stay: of a job that seldom ticks, or has nothing due, they say how it does.
-- Small deletes in the order of an index, and none that waits for another session. Returns how many rows went. What goes is
-- chosen once, as an array: a plan may run a subquery again, and one that skips locked rows then finds others.
create or replace function autosync.prune()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
    newest_tick bigint;
    newest_call bigint;
    step integer;
    deleted integer := 0;
begin
    for item in
        -- from one job to the next in the index, however many rows each has
        with recursive present as (
            (select t.job_id from autosync.tick as t order by t.job_id limit 1)
            union all
            select (select t.job_id from autosync.tick as t where t.job_id > p.job_id order by t.job_id limit 1)
            from present as p
            where p.job_id is not null
        ),
        called as (
            (select i.job_id from autosync.invocation as i order by i.job_id limit 1)
            union all
            select (select i.job_id from autosync.invocation as i where i.job_id > c.job_id order by i.job_id limit 1)
            from called as c
            where c.job_id is not null
        ),
        known as (
            select p.job_id from present as p
            union
            select c.job_id from called as c
        )
        select k.job_id, coalesce(now() - j.keep_invocations, 'infinity') as keep_from
        from known as k
        left join autosync.job as j on j.id = k.job_id
        where k.job_id is not null
    loop
        newest_tick := null;
        newest_call := null;
        if isfinite(item.keep_from) then
            -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
            select t.id into newest_tick
            from autosync.tick as t
            where t.job_id between item.job_id and item.job_id
            order by t.job_id desc, t.id desc
            limit 1;
            select i.id into newest_call
            from autosync.invocation as i
            where i.job_id between item.job_id and item.job_id and i.outcome not in ('pending', 'accepted', 'lost')
            order by i.job_id desc, i.id desc
            limit 1;
        end if;
        delete from autosync.invocation as i
        where i.id = any (array(
            select o.id
            from (
                select k.id, k.queued_at
                from autosync.invocation as k
                -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
                where k.job_id between item.job_id and item.job_id
                order by k.job_id, k.id
                limit 1000
                for update skip locked
            ) as o
            where o.queued_at < item.keep_from and o.id is distinct from newest_call
        ));
        get diagnostics step = row_count;
        deleted := deleted + step;

        -- a tick goes with the calls that it made, so never before them
        delete from autosync.tick as t
        where t.id = any (array(
            select o.id
            from (
                select k.id, k.ticked_at
                from autosync.tick as k
                where k.job_id between item.job_id and item.job_id
                order by k.job_id, k.id
                limit 1000
                for update skip locked
            ) as o
            where o.ticked_at < item.keep_from and o.id is distinct from newest_tick
                and not exists (select from autosync.invocation as i where i.tick_id = o.id)
        ));
        get diagnostics step = row_count;
        deleted := deleted + step;
    end loop;
    return deleted;
end
$$;

revoke all on function autosync.prune() from public;

comment on function autosync.prune() is 'keep the ledger within its retention';
