-- no_triggers_on_cron_tables: pg_cron's own trigger aside, a trigger there runs inside the launcher as the extension's owner.
-- Critical once the launcher is gone or was restarted within a day: a trigger that raises ends it. Three seconds cover the server's own start.
select case when t.tgenabled in ('O', 'A') and (
        not exists (select from pg_catalog.pg_stat_activity as a where a.application_name = 'pg_cron scheduler' and a.backend_type is distinct from 'client backend')
        or exists (
            select from pg_catalog.pg_stat_activity as a
            join pg_catalog.pg_stat_activity as w on w.backend_type = 'walwriter'
            where a.application_name = 'pg_cron scheduler' and a.backend_type is distinct from 'client backend'
                and a.backend_start > w.backend_start + interval '3 seconds'
                and a.backend_start > now() - interval '1 day'
        )
    ) then 'critical' else 'warning' end as status,
    format('table cron.%s', c.relname) as object,
    format('has the trigger %s (function %s), which runs as %s inside pg_cron', quote_ident(t.tgname),
        t.tgfoid::regproc, pg_get_userbyid(case when p.prosecdef then p.proowner else c.relowner end)) as detail,
    jsonb_build_object('table', format('cron.%s', c.relname), 'trigger', t.tgname, 'function', t.tgfoid::regproc::text,
        'reason', case when pg_has_role(c.relowner, 'member')
            -- dropping the function drops its triggers, and asks for no right on the table
            or pg_has_role(p.proowner, 'member') and not exists (
                select from pg_catalog.pg_trigger as o where o.tgfoid = t.tgfoid and o.tgrelid <> t.tgrelid
            ) then null else 'out_of_reach' end,
        'role', pg_get_userbyid(c.relowner)) as facts
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
where n.nspname = 'cron'
    and c.relname in ('job', 'job_run_details')
    and not t.tgisinternal
    and not (c.relname = 'job' and t.tgname = 'cron_job_cache_invalidate')
order by object, detail
