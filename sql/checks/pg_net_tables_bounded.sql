-- pg_net_tables_bounded: the size of pg_net's tables, and the oldest answer against the time that pg_net keeps them. It removes
-- old ones only while it works, so they count only if an answer came within the last hour.
with kept as (
    select greatest(interval '6 hours', (
        select case
            when s.setting ~ '^\d{1,6} *(seconds?|minutes?|hours?|days?|s|min|h|d)$' then s.setting::interval
        end
        from pg_catalog.pg_settings as s
        where s.name = 'pg_net.ttl'
    )) + interval '1 day' as patience
),
answers as (
    select min(r.created) as oldest, max(r.created) as newest from net._http_response as r
)
select 'warning' as status, format('table net.%s', c.relname) as object,
    format('takes %s, with about %s rows and %s dead ones', pg_size_pretty(pg_total_relation_size(c.oid)),
        greatest(c.reltuples, 0)::bigint, coalesce(pg_stat_get_dead_tuples(c.oid), 0)) as detail,
    jsonb_build_object('table', format('net.%s', c.relname), 'bytes', pg_total_relation_size(c.oid), 'rows', greatest(c.reltuples, 0)::bigint) as facts
from pg_catalog.pg_class as c
where c.oid in ('net._http_response'::regclass, 'net.http_request_queue'::regclass)
    and pg_total_relation_size(c.oid) > 268435456
union all
select 'warning', 'table net._http_response',
    format('holds answers since %s: pg_net does not remove what has expired', to_char(a.oldest at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
    jsonb_build_object('table', 'net._http_response', 'oldest_at', a.oldest)
from answers as a
cross join kept as k
where a.oldest < now() - k.patience and a.newest > now() - interval '1 hour'
