-- outcomes_recorded: what became of the newest calls is known; a lost call's answer went before housekeeping could write it down.
-- A restart of the server loses the calls under way, which is no fault of the chain.
with settled as (
    select o.id, o.queued_at, o.cause, o.error_message, row_number() over (order by o.id desc) as age
    from autosync.recent_outcomes(checked.name, 50) as o
    where o.cause <> 'pending'
),
streak as (
    select s.*
    from settled as s
    where s.age < coalesce((select min(k.age) from settled as k where k.cause <> 'lost'), 51)
),
summary as (
    select count(*) as calls, min(s.queued_at) as since,
        count(*) filter (where s.error_message like 'pg_net''s tables began again%') as restarted,
        (array_agg(s.error_message order by s.age))[1] as message
    from streak as s
)
select
    case when u.calls = u.restarted then 'ok' when u.calls - u.restarted < 3 then 'warning' else 'critical' end as status,
    format('cron job %s', checked.name) as object,
    format('the outcome of %s since %s is not known: %s',
        case when u.calls = 1 then 'the newest call' else format('the newest %s calls', u.calls) end,
        to_char(u.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), u.message) as detail,
    jsonb_build_object('job', checked.name, 'calls', u.calls, 'since', u.since) as facts
from summary as u
where u.calls > 0
union all
-- ticks that say that they called, and of whose calls no row is there; retention takes calls and ticks of the same age
select case when m.ticks < 3 then 'warning' else 'critical' end, format('cron job %s', checked.name),
    format('%s since %s called, and no row of autosync.invocation says so: what became of it is not known',
        case when m.ticks = 1 then 'the newest tick' else format('the newest %s ticks', m.ticks) end,
        to_char(m.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
    jsonb_build_object('reason', 'unwritten', 'job', checked.name, 'calls', m.ticks, 'since', m.since)
from (
    select count(*) as ticks, min(w.ticked_at) as since
    from (
        select n.ticked_at, bool_or(n.is_written) over (order by n.id desc) as is_over
        from (
            select t.id, t.ticked_at, exists (select from autosync.invocation as i where i.tick_id = t.id) as is_written
            from autosync.tick as t
            join autosync.job as j on j.id = t.job_id
            where t.job_id between checked.id and checked.id
                and t.decision = 'posted'
                and t.ticked_at > now() - j.keep_invocations
            order by t.job_id desc, t.id desc
            limit 50
        ) as n
    ) as w
    where not w.is_over
) as m
where m.ticks > 0
