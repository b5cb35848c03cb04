-- pg_net_usable_by_job: dispatch() runs with its owner's rights; these are what net.http_post() and the look for answers need, and
-- the functions that hand over a call are pg_net's.
with caller as (
    select p.proowner as oid
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    where n.nspname = 'autosync' and p.proname = 'dispatch'
    limit 1
),
schema_net as (
    select n.oid from pg_catalog.pg_namespace as n where n.nspname = 'net'
),
functions as (
    select p.oid, p.proname, p.prosecdef
    from pg_catalog.pg_proc as p
    join schema_net as n on n.oid = p.pronamespace
    where p.proname in ('http_post', 'wake')
),
relations as (
    select c.oid, c.relname, c.relkind
    from pg_catalog.pg_class as c
    join schema_net as n on n.oid = c.relnamespace
),
lacking as (
    select 'schema net' as object, 'schema' as kind, 'net' as name, 'use' as verb, 'usage' as privilege, c.oid as role
    from caller as c
    cross join schema_net as n
    where not has_schema_privilege(c.oid, n.oid, 'usage')
    union all
    select format('function net.%s()', f.proname), 'function', format('net.%s', f.proname), 'execute', 'execute', c.oid
    from caller as c
    cross join functions as f
    where not has_function_privilege(c.oid, f.oid, 'execute')
    union all
    select format('table net.%s', r.relname), 'table', format('net.%s', r.relname), lower(w.privilege), lower(w.privilege), c.oid
    from caller as c
    cross join (values ('http_request_queue', 'SELECT'), ('http_request_queue', 'INSERT'), ('_http_response', 'SELECT')) as w (name, privilege)
    join relations as r on r.relname = w.name and r.relkind in ('r', 'p')
    where not has_table_privilege(c.oid, r.oid, w.privilege)
        -- a function with its owner's rights, as before pg_net 0.12, needs none of the caller's
        and (w.privilege <> 'INSERT' or exists (select from functions as f where f.proname = 'http_post' and not f.prosecdef))
    union all
    select format('sequence net.%s', r.relname), 'sequence', format('net.%s', r.relname), 'use', 'usage', c.oid
    from caller as c
    join relations as r on r.relname = 'http_request_queue_id_seq' and r.relkind = 'S'
    where not has_sequence_privilege(c.oid, r.oid, 'usage')
        and exists (select from functions as f where f.proname = 'http_post' and not f.prosecdef)
)
select 'critical' as status, l.object as object, format('the role %s, as which the job makes its calls, may not %s it', l.role::regrole, l.verb) as detail,
    jsonb_build_object(l.kind, l.name, 'role', pg_get_userbyid(l.role), 'privilege', l.privilege) as facts
from lacking as l
union all
-- extensions may be replaced piece by piece: one that puts nothing into the queue, by itself or by another function there, calls nobody
select 'critical', format('function net.%s()', p.proname), 'was replaced: its text puts no request into net.http_request_queue, so nothing is sent',
    jsonb_build_object('reason', 'replaced', 'function', format('net.%s', p.proname), 'signature', p.oid::regprocedure::text)
from pg_catalog.pg_proc as p
join schema_net as n on n.oid = p.pronamespace
join pg_catalog.pg_language as l on l.oid = p.prolang and l.lanname in ('sql', 'plpgsql')
cross join lateral (select replace(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), '"', '') as body) as b
where p.proname in ('http_post', 'http_get')
    and b.body !~* '\minsert\s+into\s+(net\.)?http_request_queue\M'
    and b.body !~* '\mnet\.\w+\s*\('
union all
select 'unknown', 'function net.http_post()', 'or autosync.dispatch() does not exist', jsonb_build_object('reason', 'missing')
where not exists (select from functions) or not exists (select from caller)
order by object, detail
