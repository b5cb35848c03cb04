-- texts: bodies of functions and arguments of triggers that may hold a key; whoever can connect can read them.
-- Those of extensions are left out. What a key is, the program judges; here is only asked how all of them begin. Anybody may
-- make functions that look worse than they are, so those of who may act as this role come first. 500 texts, 10 MB in all and
-- 1 MB each are looked at; of what is left out, one row says so, whose content is NULL.
with texts as (
    select pg_catalog.format('function %s', p.oid::regprocedure) as place, b.source as content, p.proowner as owner
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    cross join lateral (select coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) as source) as b
    where n.nspname not in ('pg_catalog', 'information_schema', 'autosync') and n.nspname not like 'pg\_%'
        and not exists (select from pg_catalog.pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    union all
    select pg_catalog.format('trigger %s on %s', t.tgname, t.tgrelid::regclass), pg_catalog.encode(t.tgargs, 'escape'), c.relowner
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_class as c on c.oid = t.tgrelid
    where not t.tgisinternal
),
suspect as (
    select t.place, t.content, pg_catalog.octet_length(t.content) as bytes,
        pg_catalog.row_number() over (
            order by pg_has_role(t.owner, current_user, 'member') desc, t.content ~ 'eyJ|sb[p_]|postgres' desc,
                pg_catalog.octet_length(t.content), t.place
        ) as number
    from texts as t
    where pg_catalog.octet_length(t.content) > 12 and t.content ~* 'eyJ|sb[p_]|://|bearer|key|secret|token|cookie|_live_|glpat|akia|gh[pousr]_'
),
measured as (
    select s.place, s.content, s.number,
        s.number <= 500 and s.bytes <= 1000000 and sum(s.bytes) over (order by s.number) <= 10000000 as is_read
    from suspect as s
)
select m.place, case when m.is_read then m.content end as content
from measured as m
where m.is_read or m.number = (select min(l.number) from measured as l where not l.is_read)
order by m.number
