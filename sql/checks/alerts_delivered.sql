-- alerts_delivered: each receiver's address and its newest messages; no row where nobody is to be notified.
-- A message that waits counts after half an hour; one that was given up, or that nobody knows of, until a later one is delivered.
with receiver as (
    select r.id, r.kind, r.secret_name, j.name as job, r.job_id is not null and j.id is null as is_orphaned,
        format('%s of %s', r.kind, coalesce('job ' || j.name, case when r.job_id is null then 'all jobs' else 'a job that was removed' end)) as object
    from autosync.alert_receiver as r
    left join autosync.job as j on j.id = r.job_id
),
finding as (
    select r.object, r.kind, r.job, 'critical' as status, 'address' as reason,
        format('its address, the secret "%s", is missing', r.secret_name) as detail, null::timestamptz as since, 0 as attempts
    from receiver as r
    where autosync.secrets_hidden() is null
        and not exists (select from autosync.secret_facts() as f where f.name = r.secret_name and not f.is_blank)
    union all
    select r.object, r.kind, r.job, 'warning', 'undelivered',
        format('%s since %s was not delivered%s', case m.event when 'heartbeat' then 'its heartbeat' else 'its message' end,
            autosync.moment(m.created_at), coalesce(': ' || m.error_message, '')), m.created_at, m.attempts
    from receiver as r
    cross join lateral (
        select a.event, a.outcome, a.created_at, a.settled_at, a.error_message, a.attempts
        from autosync.alert as a
        where a.receiver_id = r.id
            and (a.outcome in ('given_up', 'unconfirmed')
                or a.outcome = 'dropped' and a.attempts > 0
                or a.outcome in ('waiting', 'posted') and a.created_at < now() - interval '30 minutes')
            and a.event <> 'test'
        order by a.id desc
        limit 1
    ) as m
    where not exists (
        select from autosync.alert as d
        where d.receiver_id = r.id and d.outcome = 'delivered' and d.settled_at > coalesce(m.settled_at, m.created_at)
    )
    union all
    select r.object, r.kind, null, 'warning', 'orphaned', 'speaks of nothing any more, and its address is still stored', null, 0
    from receiver as r
    where r.is_orphaned
    union all
    select 'messages', null, null, 'critical', 'error', s.value #>> '{}', s.updated_at, 0
    from autosync.setting as s
    where s.name = 'alerts_error' and exists (select from receiver)
)
select f.status, f.object, f.detail,
    jsonb_build_object('reason', f.reason, 'receiver', f.kind, 'name', f.job, 'since', f.since, 'attempts', f.attempts) as facts
from finding as f
union all
select 'unknown', 'addresses of receivers', autosync.secrets_hidden(), jsonb_build_object('reason', 'hidden', 'role', current_user)
where autosync.secrets_hidden() is not null and exists (select from receiver)
