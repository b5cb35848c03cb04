-- pg_net_queue_drains: no call of the job waits in net.http_request_queue a minute after it should have timed out.
select 'critical' as status, 'table net.http_request_queue' as object,
    format('%s of the newest %s calls still wait there, the longest since %s; the worker is %s',
        q.waiting, q.calls, to_char(q.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
        case
            when w.pid is null then 'not connected'
            when w.state = 'idle' then 'idle'
            when w.xact_start is not null then format('busy with a batch since %s', to_char(w.xact_start at time zone 'UTC', 'HH24:MI:SS "UTC"'))
            else 'connected'
        end) || case when a.requests > 0 then format('; %s%s requests of others wait before it',
            least(a.requests, 100000), case when a.requests > 100000 then ' and more' else '' end) else '' end as detail,
    jsonb_build_object('table', 'net.http_request_queue', 'count', q.waiting, 'calls', q.calls, 'since', q.since,
        'ahead', a.requests, 'reason', case when w.state is distinct from 'idle' and w.xact_start is not null then 'busy' end) as facts
from (
    select count(*) as calls,
        count(*) filter (where o.is_late) as waiting,
        min(o.queued_at) filter (where o.is_late) as since,
        min(o.request_id) filter (where o.is_late) as first_id
    from (
        select r.queued_at, r.request_id,
            r.outcome = 'pending' and r.queued_at < now() - r.timeout_milliseconds * interval '1 millisecond' - interval '1 minute' as is_late
        from autosync.recent_outcomes(checked.name, 50) as r
    ) as o
) as q
left join (
    select a.pid, a.state, a.xact_start
    from pg_catalog.pg_stat_activity as a
    where a.application_name like 'pg\_net %' or a.backend_type ilike '%pg_net%'
    limit 1
) as w on true
cross join lateral (
    select count(*) as requests
    from (
        select n.id
        from net.http_request_queue as n
        where n.id < q.first_id and not exists (
            select from autosync.invocation as i where i.outcome = 'pending' and i.request_id = n.id
        )
        limit 100001
    ) as n
) as a
where q.waiting > 0
