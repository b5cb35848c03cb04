-- no_secret_in_functions: bodies of functions and arguments of triggers that are not an extension's. Whoever can connect can read
-- them. No text is shown. Our own secrets are compared as they are stored, keys by their form, others by the name that they are written out under.
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
    jsonb_build_object('identity', f.object, 'is_ours', f.is_ours, 'is_opaque', not f.is_ours and not f.is_key) as facts
from found as f
where f.place <= 100
union all
select 'warning', 'functions and triggers', format('%s more hold one; they are named once these do not', f.number - 100),
    jsonb_build_object('count', f.number - 100)
from found as f
where f.place = 101
