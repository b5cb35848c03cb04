-- pg_net_installed: the extension exists, and says so when it is the local stack's stand-in.
select 'critical' as status, 'extension pg_net' as object,
    format('is not installed in the database %s', current_database()) as detail,
    jsonb_build_object('reason', case when n.oid is null then 'missing' else 'in_the_way' end, 'extension', 'pg_net',
        'database', current_database(), 'schema', n.nspname, 'role', pg_get_userbyid(n.nspowner)) as facts
from (select) as always
left join pg_catalog.pg_namespace as n on n.nspname = 'net'
where not exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_net')
union all
select 'ok', 'extension pg_net', 'this is the stand-in of the local stack', jsonb_build_object('reason', 'stand_in', 'extension', 'pg_net')
from pg_catalog.pg_extension as e
where e.extname = 'pg_net' and obj_description(e.oid, 'pg_extension') like 'stand-in%'
