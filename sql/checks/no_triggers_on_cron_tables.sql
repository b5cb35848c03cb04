-- no_triggers_on_cron_tables: pg_cron's own trigger aside, a trigger there runs inside the launcher as the extension's owner, and so
-- does a rule; what a constraint, a unique index or a column without a default refuses ends the launcher like a trigger that raises.
-- Critical once the launcher is gone or was restarted within a day. Three seconds cover the server's own start.
with launcher as (
    select case when
        not exists (select from pg_catalog.pg_stat_activity as a where a.application_name = 'pg_cron scheduler' and a.backend_type is distinct from 'client backend')
        or exists (
            select from pg_catalog.pg_stat_activity as a
            join pg_catalog.pg_stat_activity as w on w.backend_type = 'walwriter'
            where a.application_name = 'pg_cron scheduler' and a.backend_type is distinct from 'client backend'
                and a.backend_start > w.backend_start + interval '3 seconds'
                and a.backend_start > now() - interval '1 day'
        )
    then 'critical' else 'warning' end as status
),
kept as (
    select c.oid, c.relname, c.relowner
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = 'cron' and c.relname in ('job', 'job_run_details')
)
select l.status, format('table cron.%s', k.relname) as object,
    format('has the trigger %s (function %s), which runs as %s inside pg_cron', quote_ident(t.tgname),
        t.tgfoid::regproc, pg_get_userbyid(case when p.prosecdef then p.proowner else k.relowner end)) as detail,
    jsonb_build_object('table', format('cron.%s', k.relname), 'trigger', t.tgname, 'function', t.tgfoid::regproc::text,
        'reason', case when pg_has_role(k.relowner, 'member')
            -- dropping the function drops its triggers, and asks for no right on the table
            or pg_has_role(p.proowner, 'member') and not exists (
                select from pg_catalog.pg_trigger as o where o.tgfoid = t.tgfoid and o.tgrelid <> t.tgrelid
            ) then null else 'out_of_reach' end,
        'role', pg_get_userbyid(k.relowner)) as facts
from kept as k
join pg_catalog.pg_trigger as t on t.tgrelid = k.oid
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
cross join launcher as l
where not t.tgisinternal
    and t.tgenabled in ('O', 'A')
    and not (k.relname = 'job' and t.tgname = 'cron_job_cache_invalidate')
union all
select l.status, format('table cron.%s', k.relname), format(o.detail, case o.kind when 'index' then o.name else quote_ident(o.name) end),
    jsonb_build_object('table', format('cron.%s', k.relname), o.kind, o.name, 'role', pg_get_userbyid(k.relowner),
        'reason', case when pg_has_role(k.relowner, 'member') then null else o.kind end)
from kept as k
cross join launcher as l
cross join lateral (
    select 'rule' as kind, w.rulename as name, 'has the rule %s, which changes what pg_cron writes there' as detail
    from pg_catalog.pg_rewrite as w
    where w.ev_class = k.oid and w.ev_type <> '1' and w.ev_enabled in ('O', 'A')
    union all
    -- pg_cron has a primary key and, of its jobs, a unique name
    select 'constraint', s.conname, 'has the constraint %s, and pg_cron''s process ends when it writes what that refuses'
    from pg_catalog.pg_constraint as s
    where s.conrelid = k.oid and (s.contype in ('c', 'f', 'x') or s.contype = 'u' and k.relname = 'job_run_details')
    union all
    select 'index', format('cron.%s', (select x.relname from pg_catalog.pg_class as x where x.oid = i.indexrelid)), 'has the unique index %s, and pg_cron''s process ends when it writes what that refuses'
    from pg_catalog.pg_index as i
    where i.indrelid = k.oid and i.indisunique and k.relname = 'job_run_details'
        and not exists (select from pg_catalog.pg_constraint as s where s.conindid = i.indexrelid)
    union all
    -- these pg_cron fills whenever it writes a row
    select 'column', a.attname, 'has the column %s, which takes no null and has no default: pg_cron''s process ends when it writes there'
    from pg_catalog.pg_attribute as a
    where a.attrelid = k.oid and k.relname = 'job_run_details' and a.attnum > 0 and not a.attisdropped and a.attnotnull
        and not a.atthasdef and a.attidentity = '' and a.attname not in ('jobid', 'runid', 'database', 'username', 'command', 'status')
) as o
order by object, detail
