-- no_secret_in_functions: bodies of functions and defaults of their arguments, arguments of triggers, views, defaults of columns,
-- policies and what is set for roles and databases, but for an extension's. Whoever can connect can read them. No text is shown. Of
-- views and the like only those are made into text whose tree holds a constant of some length. Our own secrets are compared as they are stored, keys by their form, others by the name that they are written out under.
-- Anybody may make functions that look worse than they are, so what counts most comes first: our own secrets, then the owner's texts.
with text as (
    select format('function %s', p.oid::regprocedure) as object, b.source as content, p.proowner as owner
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    cross join lateral (select coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) as source) as b
    where n.nspname not in ('pg_catalog', 'information_schema', 'autosync') and n.nspname not like 'pg\_%'
        and length(b.source) > 20
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
    union all
    select format('trigger %s on %s', t.tgname, t.tgrelid::regclass), encode(t.tgargs, 'escape'), c.relowner
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_class as c on c.oid = t.tgrelid
    where not t.tgisinternal and octet_length(t.tgargs) > 12
    union all
    select format('default of an argument of %s', p.oid::regprocedure), pg_get_expr(p.proargdefaults, 'pg_proc'::regclass), p.proowner
    from pg_catalog.pg_proc as p
    where p.oid >= 16384 and p.proargdefaults is not null
        and p.proargdefaults::text ~ ':constvalue (2\d|[3-9]\d|\d{3,}) \['
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
    union all
    select format('view %s', c.oid::regclass), pg_get_viewdef(c.oid), c.relowner
    from pg_catalog.pg_rewrite as w
    join pg_catalog.pg_class as c on c.oid = w.ev_class and c.relkind in ('v', 'm')
    where w.oid >= 16384 and w.ev_action::text ~ ':constvalue (2\d|[3-9]\d|\d{3,}) \['
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
        )
    union all
    select format('default of the column %s.%s', c.oid::regclass, a.attname), pg_get_expr(e.adbin, e.adrelid), c.relowner
    from pg_catalog.pg_attrdef as e
    join pg_catalog.pg_class as c on c.oid = e.adrelid
    join pg_catalog.pg_attribute as a on a.attrelid = e.adrelid and a.attnum = e.adnum
    where e.oid >= 16384 and e.adbin::text ~ ':constvalue (2\d|[3-9]\d|\d{3,}) \['
    union all
    select format('policy %s on %s', p.polname, c.oid::regclass),
        concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)), c.relowner
    from pg_catalog.pg_policy as p
    join pg_catalog.pg_class as c on c.oid = p.polrelid
    where concat(p.polqual::text, p.polwithcheck::text) ~ ':constvalue (2\d|[3-9]\d|\d{3,}) \['
    union all
    -- the platform itself sets the first
    select format('setting %s of %s', split_part(e.entry, '=', 1), concat_ws(' in ', case when d.setrole <> 0 then format('the role %s', pg_get_userbyid(d.setrole)) end,
            case when d.setdatabase <> 0 then format('the database %s', b.datname) end)), e.entry, coalesce(nullif(d.setrole, 0), b.datdba)
    from pg_catalog.pg_db_role_setting as d
    left join pg_catalog.pg_database as b on b.oid = d.setdatabase
    cross join lateral unnest(d.setconfig) as e (entry)
    where d.setdatabase in (0, (select c.oid from pg_catalog.pg_database as c where c.datname = current_database()))
        and length(e.entry) > 20
        and e.entry !~* '^(app\.settings\.jwt_secret|search_path|pgrst\.db_\w+)='
),
numbered as materialized (
    select t.object, t.content, t.owner, row_number() over () as place from text as t
),
ours as materialized (
    select autosync.holding_secrets(array(select n.content from numbered as n order by n.place)) as places
),
found as (
    select t.object, o.is_ours, k.is_key, count(*) over () as number,
        row_number() over (order by o.is_ours desc, pg_has_role(t.owner, current_user, 'member') desc, k.is_key desc, t.object) as place
    from numbered as t
    cross join lateral (select t.place = any (s.places) as is_ours from ours as s) as o
    cross join lateral (select autosync.holds_key(t.content) as is_key) as k
    where o.is_ours or k.is_key or autosync.holds_credential(t.content)
)
select case when f.is_ours then 'critical' else 'warning' end as status, f.object as object,
    case
        when f.is_ours then 'holds a secret that is stored here'
        when f.is_key then 'holds a key'
        else 'holds a credential: a value is written out under a name such as Authorization or ?key='
    end as detail,
    jsonb_build_object('identity', f.object, 'is_ours', f.is_ours, 'is_opaque', not f.is_ours and not f.is_key,
        'reason', case when f.object like 'setting %' then 'setting' end) as facts
from found as f
where f.place <= 100
union all
select 'warning', 'functions, triggers and the like', format('%s more hold one; they are named once these do not', f.number - 100),
    jsonb_build_object('count', f.number - 100)
from found as f
where f.place = 101
