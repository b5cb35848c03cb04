-- nothing_blocks_upgrades: what depends on an object of pg_cron or pg_net and does not belong to it. An upgrade of the platform
-- drops the extension and creates it again, which such an object forbids. And a version without a way to the server's own.
with member as (
    select e.extname, d.classid, d.objid
    from pg_catalog.pg_extension as e
    join pg_catalog.pg_depend as d on d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
    where e.extname in ('pg_cron', 'pg_net')
    union all
    select e.extname, 'pg_extension'::regclass, e.oid
    from pg_catalog.pg_extension as e
    where e.extname in ('pg_cron', 'pg_net')
),
-- the row type of a table, the array of a type
carried as (
    select m.extname, m.classid, m.objid from member as m
    union
    select m.extname, d.classid, d.objid
    from member as m
    join pg_catalog.pg_depend as d on d.refclassid = m.classid and d.refobjid = m.objid and d.deptype in ('i', 'a')
),
dependent as (
    select distinct c.extname, d.classid, d.objid,
        -- a rule, a default, a constraint or a policy belongs to its table
        coalesce(w.ev_class, f.adrelid, k.conrelid, p.polrelid, g.tgrelid, case when d.classid = 'pg_class'::regclass then d.objid end) as relation
    from carried as c
    join pg_catalog.pg_depend as d on d.refclassid = c.classid and d.refobjid = c.objid and d.deptype = 'n'
    left join pg_catalog.pg_rewrite as w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
    left join pg_catalog.pg_attrdef as f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
    left join pg_catalog.pg_constraint as k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid and k.conrelid <> 0
    left join pg_catalog.pg_policy as p on d.classid = 'pg_policy'::regclass and p.oid = d.objid
    left join pg_catalog.pg_trigger as g on d.classid = 'pg_trigger'::regclass and g.oid = d.objid
)
select 'warning' as status,
    case when d.classid = 'pg_rewrite'::regclass
        then pg_describe_object('pg_class'::regclass, d.relation, 0)
        else pg_describe_object(d.classid, d.objid, 0)
    end as object,
    format('depends on the extension %s, which an upgrade drops and creates again', d.extname) as detail,
    jsonb_build_object('extension', d.extname, 'kind', i.type, 'identity', i.identity) as facts
from dependent as d
cross join lateral pg_identify_object(
    case when d.classid = 'pg_rewrite'::regclass then 'pg_class'::regclass::oid else d.classid end,
    case when d.classid = 'pg_rewrite'::regclass then d.relation else d.objid end, 0
) as i
where not exists (select from carried as c where c.classid = d.classid and c.objid = d.objid)
    and not exists (select from carried as c where c.classid = 'pg_class'::regclass and c.objid = d.relation)
union all
select 'warning', format('extension %s', e.extname),
    format('is at version %s, from which there is no way to %s, the version of the server''s files: its next upgrade fails',
        e.extversion, a.default_version),
    jsonb_build_object('extension', e.extname, 'version', e.extversion, 'library_version', a.default_version, 'reason', 'no_path')
from pg_catalog.pg_extension as e
join pg_catalog.pg_available_extensions() as a on a.name = e.extname
where e.extname in ('pg_cron', 'pg_net') and e.extversion <> a.default_version
    and not exists (
        select from pg_catalog.pg_extension_update_paths(e.extname) as p
        where p.source = e.extversion and p.target = a.default_version and p.path is not null
    )
union all
select 'unknown', 'extensions pg_cron and pg_net', 'are not installed', jsonb_build_object('reason', 'missing')
where not exists (select from member)
