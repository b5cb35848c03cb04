-- dependents: what of somebody else's hangs on a table, a type or a function of ours: a view, a foreign key, a trigger.
-- column_name is the column that it needs, null for the whole object. What belongs to one of our tables goes with it, and
-- is none of these.
with
tables as (
    select c.oid
    from pg_catalog.pg_class as c
    where c.oid in (to_regclass('public.pg_cron_secrets'), to_regclass('public.auto_sync_schedules'))
        or c.relnamespace = to_regnamespace('autosync')
),
ours as (
    select cast('pg_catalog.pg_class' as regclass) as classid, t.oid as objid from tables as t
    union all
    select cast('pg_catalog.pg_type' as regclass), y.oid
    from pg_catalog.pg_type as y
    where y.typrelid in (select t.oid from tables as t)
        or y.typelem in (select e.oid from pg_catalog.pg_type as e where e.typrelid in (select t.oid from tables as t))
    union all
    select cast('pg_catalog.pg_proc' as regclass), p.oid
    from pg_catalog.pg_proc as p
    where p.pronamespace = to_regnamespace('autosync')
        or (p.pronamespace = to_regnamespace('public')
            and p.proname in ('auto_sync_claim', 'auto_sync_complete', 'auto_sync_report'))
),
-- each with the relation that it belongs to
dependent as (
    select d.classid, d.objid, d.refclassid, d.refobjid, d.refobjsubid,
        coalesce(r.ev_class, k.conrelid, t.tgrelid, l.polrelid, f.adrelid, i.indrelid) as relation,
        r.ev_class is not null as is_rule
    from pg_catalog.pg_depend as d
    join ours as o on o.classid = d.refclassid and o.objid = d.refobjid
    left join pg_catalog.pg_rewrite as r on d.classid = cast('pg_catalog.pg_rewrite' as regclass) and r.oid = d.objid
    left join pg_catalog.pg_constraint as k
        on d.classid = cast('pg_catalog.pg_constraint' as regclass) and k.oid = d.objid
    left join pg_catalog.pg_trigger as t on d.classid = cast('pg_catalog.pg_trigger' as regclass) and t.oid = d.objid
    left join pg_catalog.pg_policy as l on d.classid = cast('pg_catalog.pg_policy' as regclass) and l.oid = d.objid
    left join pg_catalog.pg_attrdef as f on d.classid = cast('pg_catalog.pg_attrdef' as regclass) and f.oid = d.objid
    left join pg_catalog.pg_index as i
        on d.classid = cast('pg_catalog.pg_class' as regclass) and i.indexrelid = d.objid
    where d.deptype = 'n'
)
select distinct
    case when d.is_rule then pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, d.relation, 0)
        else pg_catalog.pg_describe_object(d.classid, d.objid, 0) end as dependent,
    case when d.refclassid = cast('pg_catalog.pg_proc' as regclass) then cast(cast(d.refobjid as regprocedure) as text)
        else cast(cast(coalesce(nullif(y.typrelid, 0), e.typrelid, d.refobjid) as regclass) as text) end as needed,
    a.attname as column_name
from dependent as d
left join pg_catalog.pg_type as y on d.refclassid = cast('pg_catalog.pg_type' as regclass) and y.oid = d.refobjid
left join pg_catalog.pg_type as e on e.oid = y.typelem
left join pg_catalog.pg_attribute as a
    on d.refclassid = cast('pg_catalog.pg_class' as regclass) and a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        and d.refobjsubid > 0
where coalesce(d.relation, 0) not in (select t.oid from tables as t)
    and not exists (select from ours as o where o.classid = d.classid and o.objid = d.objid)
order by 1, 2, 3
