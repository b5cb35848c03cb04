-- no_triggers_on_net_tables: a trigger there runs inside pg_net's worker, with its rights; if it raises, the batch is sent again and
-- again. So it is when a constraint or a column of the answers refuses one; what a rule takes away is not sent, or has no answer.
select 'critical' as status, format('trigger %s on net.%s', t.tgname, c.relname) as object,
    format('runs %s inside the worker%s', t.tgfoid::regproc,
        case when p.prosecdef then format(', as %s, whose rights it has', pg_get_userbyid(p.proowner))
            else coalesce((
                select format(', as the superuser %s', a.usename)
                from pg_catalog.pg_stat_activity as a
                join pg_catalog.pg_roles as r on r.rolname = a.usename and r.rolsuper
                where a.application_name like 'pg\_net %'
                limit 1
            ), '')
        end) as detail,
    jsonb_build_object('table', format('net.%s', c.relname), 'trigger', t.tgname, 'role', pg_get_userbyid(c.relowner),
        'function', t.tgfoid::regproc::text,
        'reason', case when pg_has_role(c.relowner, 'member')
            -- dropping the function drops its triggers, and asks for no right on the table
            or pg_has_role(p.proowner, 'member') and not exists (
                select from pg_catalog.pg_trigger as o where o.tgfoid = t.tgfoid and o.tgrelid <> t.tgrelid
            ) then null else 'out_of_reach' end) as facts
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
where n.nspname = 'net'
    and c.relname in ('http_request_queue', '_http_response')
    and not t.tgisinternal
    and t.tgenabled <> 'D'
union all
select 'critical', format('table net.%s', c.relname), format(o.detail, quote_ident(o.name)),
    jsonb_build_object('table', format('net.%s', c.relname), o.kind, o.name, 'role', pg_get_userbyid(c.relowner),
        'reason', case when pg_has_role(c.relowner, 'member') then null else o.kind end)
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
    select 'rule' as kind, w.rulename as name, 'has the rule %s, which changes what pg_net writes there' as detail
    from pg_catalog.pg_rewrite as w
    where w.ev_class = c.oid and w.ev_type <> '1' and w.ev_enabled in ('O', 'A')
    union all
    select 'constraint', s.conname, 'has the constraint %s: when it refuses an answer, every call of its batch is sent again'
    from pg_catalog.pg_constraint as s
    where s.conrelid = c.oid and c.relname = '_http_response' and s.contype in ('c', 'f', 'x')
    union all
    select 'column', a.attname, 'has the column %s, which takes no null and has no default: calls without it are sent again and again'
    from pg_catalog.pg_attribute as a
    where a.attrelid = c.oid and c.relname = '_http_response' and a.attnum > 0 and not a.attisdropped and a.attnotnull
        and not a.atthasdef and a.attidentity = '' and a.attname not in ('id', 'created')
) as o
where n.nspname = 'net' and c.relname in ('http_request_queue', '_http_response')
union all
select 'unknown', 'extension pg_net', 'is not installed', jsonb_build_object('reason', 'missing', 'extension', 'pg_net')
where not exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_net')
order by object
