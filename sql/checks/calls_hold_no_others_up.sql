-- calls_hold_no_others_up: pg_net sends in batches, and takes the next when the slowest call of the last has its answer. How long the newest
-- 50 calls of a day took is what the function says, or the timeout; a function that reports later answered at once. What came meanwhile is
-- looked for among the newest 1000 calls of all jobs, and the answers to what others sent, by the index on their time.
with slow as (
    select i.id, i.queued_at, i.queued_at + t.milliseconds * interval '1 millisecond' as until
    -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
    from (select n.* from autosync.invocation as n where n.job_id between checked.id and checked.id order by n.job_id desc, n.id desc limit 50) as i
    join autosync.job as j on j.id = i.job_id
    cross join lateral (
        select case
            when i.outcome = 'timed_out' then i.timeout_milliseconds
            when j.reports_within is null and i.reported_at is null then i.function_milliseconds
        end as milliseconds
    ) as t
    where i.queued_at > now() - interval '1 day' and t.milliseconds > 2000
),
ledger as materialized (
    select n.job_id, n.request_id, n.queued_at
    from autosync.invocation as n
    where exists (select from slow)
    order by n.id desc
    limit 1000
),
held as (
    select s.id, s.until - o.queued_at as waited
    from slow as s
    join ledger as o on o.job_id <> checked.id and o.queued_at >= s.queued_at and o.queued_at < s.until
    union all
    select s.id, s.until - r.created
    from slow as s
    join net._http_response as r on r.created >= s.queued_at and r.created < s.until
    where not exists (select from ledger as o where o.request_id = r.id)
),
summary as (
    select count(distinct h.id) as calls, count(*) as others, max(h.waited) as longest from held as h where h.waited > interval '2 seconds'
)
select 'warning' as status, format('cron job %s', checked.name) as object,
    format('%s of its newest calls took so long that %s calls of others had to wait, the longest for %s s', u.calls, u.others,
        round(extract(epoch from u.longest))) as detail,
    jsonb_build_object('job', checked.name, 'calls', u.calls, 'count', u.others, 'seconds', round(extract(epoch from u.longest))) as facts
from summary as u
-- once in a while a function starts slowly
where u.calls >= 3 or u.longest >= interval '5 seconds'
