-- failures: how the chosen jobs' calls of seven days failed: for each job the five ways that were seen last, of at most 5,000
-- failed calls. The words are those of the newest one, as the ledger keeps them: masked, and no longer than `runs` shows.
with failed as (
    select c.name as job, i.*,
        left(i.error_message, 160) as message
    from chosen_jobs as c
    cross join lateral (
        select n.id, n.queued_at, n.outcome, n.status_code, n.error_code, n.error_message, n.body_excerpt, n.answered_by
        from autosync.invocation as n
        -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
        where n.job_id between c.id and c.id
        order by n.job_id desc, n.id desc
        limit 5000
    ) as i
    where i.outcome not in ('ok', 'pending', 'accepted') and i.queued_at > now() - interval '7 days'
),
kind as (
    select f.job, f.outcome, f.status_code, f.error_code, f.answered_by, f.message, count(*) as calls,
        min(f.queued_at) as first_at, max(f.queued_at) as last_at, max(f.id) as id,
        row_number() over (partition by f.job order by max(f.id) desc) as place
    from failed as f
    group by f.job, f.outcome, f.status_code, f.error_code, f.answered_by, f.message
)
select k.job, k.calls, k.first_at, k.last_at, k.id, k.outcome, k.status_code, k.error_code, k.answered_by, k.message,
    autosync.classify(k.outcome, k.status_code, k.error_code, i.body_excerpt, k.answered_by) as cause,
    left(i.body_excerpt, 160) as words
from kind as k
join autosync.invocation as i on i.id = k.id
where k.place <= 5
order by k.job, k.place
