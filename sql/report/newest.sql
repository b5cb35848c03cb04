-- newest: the newest calls of every chosen job with their outcomes as known now.
select c.name as job, o.id, o.tick_id, o.request_id, o.queued_at, o.settled_at, o.timeout_milliseconds, o.outcome, o.status_code,
    o.error_code, left(o.error_message, 1000) as error_message, o.body_excerpt, o.cause, o.answered_by, o.proof, o.attempt,
    o.function_milliseconds
from chosen_jobs as c
cross join lateral autosync.recent_outcomes(c.name, 8) as o
where c.is_call
order by o.queued_at desc, o.id desc
