-- no_recent_crash: after a crash every process but the first is started again, so the checkpointer is younger than the server.
select 'warning' as status, 'server' as object,
    format('crashed and recovered at %s: runs of that moment are lost, and pg_net forgot its requests and answers',
        to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')) as detail,
    jsonb_build_object('crashed_at', a.backend_start) as facts
from pg_catalog.pg_stat_activity as a
where a.backend_type = 'checkpointer'
    and a.backend_start > pg_postmaster_start_time() + interval '5 seconds'
    and a.backend_start > now() - interval '1 day'
union all
select 'unknown', 'server', format('this role does not see when its processes were started; run: grant pg_monitor to %I', current_user),
    jsonb_build_object('reason', 'hidden', 'role', current_user, 'lacks', 'pg_monitor')
where not pg_has_role('pg_read_all_stats', 'usage')
