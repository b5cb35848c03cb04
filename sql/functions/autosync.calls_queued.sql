-- calls_queued(job_id, max_calls): how many calls of a job wait in pg_net's queue, at most max_calls.
-- requires: 0005
-- pg_net sends in the order of the queue, so what waits there are the newest of the pending; only so many are looked at.
create or replace function autosync.calls_queued(job_id integer, max_calls integer)
returns integer
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select cast(count(*) as integer)
    from (
        select
        from (
            select i.request_id, i.epoch
            from autosync.invocation as i
            -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
            where i.job_id between calls_queued.job_id and calls_queued.job_id and i.outcome = 'pending'
            order by i.job_id desc, i.id desc
            limit 2 * max_calls
        ) as p
        join net.http_request_queue as q on q.id = p.request_id
        where p.epoch = autosync.pg_net_epoch()
        limit max_calls
    ) as waiting
$$;

revoke all on function autosync.calls_queued(integer, integer) from public;

comment on function autosync.calls_queued(integer, integer) is 'how many calls of a job wait in pg_net''s queue';
