-- alerts: how many messages and heartbeats did not arrive: those that alerts_delivered speaks of, since the last that was delivered.
-- Of each receiver the newest 1,000 are looked at.
select cast(null as text) as subject, jsonb_build_object('undelivered', count(*)) as facts
from autosync.alert_receiver as r
cross join lateral (
    select n.*, max(n.settled_at) filter (where n.outcome = 'delivered') over () as delivered_at
    from (
        select a.outcome, a.attempts, a.event, a.created_at, a.settled_at
        from autosync.alert as a
        where a.receiver_id = r.id
        order by a.id desc
        limit 1000
    ) as n
) as m
where m.event <> 'test'
    and (m.outcome in ('given_up', 'unconfirmed')
        or m.outcome = 'dropped' and m.attempts > 0
        or m.outcome in ('waiting', 'posted') and m.created_at < now() - interval '30 minutes')
    and (m.delivered_at is null or coalesce(m.settled_at, m.created_at) >= m.delivered_at)
