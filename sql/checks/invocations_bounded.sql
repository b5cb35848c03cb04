-- invocations_bounded: the job's oldest tick against its retention, once a dozen ticks have had the time to prune it.
with recent as (
    select count(*) as ticks
    from (
        select t.ticked_at from autosync.tick as t
        -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
        where t.job_id between checked.id and checked.id
        order by t.job_id desc, t.id desc
        limit 12
    ) as n
    where n.ticked_at > now() - interval '1 day'
),
oldest as (
    select t.ticked_at
    from autosync.tick as t
    where t.job_id between checked.id and checked.id
        -- the tick of the newest call stays, however old
        and t.id is distinct from (
            select i.tick_id
            from autosync.invocation as i
            where i.job_id between checked.id and checked.id and i.outcome not in ('pending', 'accepted', 'lost')
            order by i.job_id desc, i.id desc
            limit 1
        )
    order by t.job_id, t.id
    limit 1
)
select 'warning' as status, 'table autosync.tick' as object,
    format('holds ticks since %s, though they are kept for %s; it has %s rows', to_char(o.ticked_at at time zone 'UTC', 'YYYY-MM-DD'),
        j.keep_invocations, case when c.reltuples < 0 then 'an unknown number of' else format('about %s', c.reltuples::bigint) end) as detail,
    jsonb_build_object('table', 'autosync.tick', 'oldest_at', o.ticked_at, 'kept', j.keep_invocations, 'rows', nullif(c.reltuples, -1)::bigint) as facts
from oldest as o
cross join recent as r
join autosync.job as j on j.name = checked.name
join pg_catalog.pg_class as c on c.oid = 'autosync.tick'::regclass
where o.ticked_at < now() - j.keep_invocations - interval '2 days'
    and r.ticks = 12
