-- queue: how many requests wait in pg_net's queue, at most 10,000, and since when the oldest of our calls does.
-- Requests of others have no time. Of our calls without an outcome the oldest 1,000 are looked at.
select cast(null as text) as subject, jsonb_build_object(
    'requests', (select count(*) from (select from net.http_request_queue as q limit 10000) as n),
    'oldest_age', coalesce((
        select extract(epoch from now() - min(p.queued_at))
        from (
            select i.request_id, i.epoch, i.queued_at
            from autosync.invocation as i
            where i.outcome = 'pending'
            order by i.id
            limit 1000
        ) as p
        join net.http_request_queue as q on q.id = p.request_id
        where p.epoch = autosync.pg_net_epoch()
    ), 0)
) as facts
