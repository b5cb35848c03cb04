-- texts: bodies of functions and arguments of triggers that may hold a key; whoever can connect can read them.
-- Those of extensions are left out. What a key is, the program judges; here is only asked how all of them begin.
select pg_catalog.format('function %s', p.oid::regprocedure) as place, b.source as content
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
cross join lateral (select coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) as source) as b
where n.nspname not in ('pg_catalog', 'information_schema', 'autosync') and n.nspname not like 'pg\_%'
    and pg_catalog.octet_length(b.source) between 20 and 1000000
    and b.source ~* 'eyJ|sb[p_]|://|bearer|key|secret|token|cookie|_live_|glpat|akia|gh[pousr]_'
    and not exists (select from pg_catalog.pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
union all
select pg_catalog.format('trigger %s on %s', t.tgname, t.tgrelid::regclass), pg_catalog.encode(t.tgargs, 'escape')
from pg_catalog.pg_trigger as t
where not t.tgisinternal and pg_catalog.octet_length(t.tgargs) > 12 and pg_catalog.encode(t.tgargs, 'escape') ~* 'eyJ|sb[p_]|://|bearer|key|secret|token|cookie|_live_|glpat|akia|gh[pousr]_'
limit 500
