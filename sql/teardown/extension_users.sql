-- extension_users: what of somebody else's needs pg_cron or pg_net: it depends on an object of theirs, or its text names one.
-- Cron jobs are looked at elsewhere. Functions in the schema extensions are the platform's own.
with wanted as (
    select e.oid, e.extname, case e.extname when 'pg_cron' then '\mcron"?\s*[.]' else '\mnet"?\s*[.]' end as named
    from pg_catalog.pg_extension as e
    where e.extname in ('pg_cron', 'pg_net')
),
member as (
    select w.extname, d.classid, d.objid
    from wanted as w
    join pg_catalog.pg_depend as d
        on d.refclassid = cast('pg_catalog.pg_extension' as regclass) and d.refobjid = w.oid and d.deptype = 'e'
)
select w.extname as extension, 'function ' || cast(cast(p.oid as regprocedure) as text) as needed_by
from wanted as w
join pg_catalog.pg_proc as p on p.prosrc ~* w.named
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where n.nspname not in ('pg_catalog', 'information_schema', 'extensions', 'cron', 'net', 'autosync')
    and not (n.nspname = 'public' and p.proname in ('auto_sync_claim', 'auto_sync_complete', 'auto_sync_report'))
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = cast('pg_catalog.pg_proc' as regclass) and d.objid = p.oid and d.deptype = 'e'
    )
union
select m.extname,
    case when r.oid is not null then pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, r.ev_class, 0)
        else pg_catalog.pg_describe_object(d.classid, d.objid, 0) end
from member as m
join pg_catalog.pg_depend as d on d.refclassid = m.classid and d.refobjid = m.objid and d.deptype = 'n'
left join pg_catalog.pg_rewrite as r on d.classid = cast('pg_catalog.pg_rewrite' as regclass) and r.oid = d.objid
where not exists (select from member as o where o.classid = d.classid and o.objid = d.objid)
    -- parts of a member, such as a policy of its table
    and not exists (
        select
        from pg_catalog.pg_depend as own
        join member as o on o.classid = own.refclassid and o.objid = own.refobjid
        where own.classid = d.classid and own.objid = d.objid and own.deptype in ('a', 'i')
    )
order by 1, 2
