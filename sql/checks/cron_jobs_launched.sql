-- cron_jobs_launched: cron.launch_active_jobs, which pg_cron has since 1.6; a line in the file of an older one means nothing.
select 'critical' as status, 'setting cron.launch_active_jobs' as object,
    'is off: pg_cron runs, jobs are active, and none is started or recorded' as detail,
    jsonb_build_object('setting', s.name, 'value', s.setting) as facts
from pg_catalog.pg_settings as s
where s.name = 'cron.launch_active_jobs' and s.setting = 'off'
union all
select 'unknown', 'setting cron.launch_active_jobs', format('is not visible to this role; run: grant pg_monitor to %I', current_user),
    jsonb_build_object('reason', 'hidden', 'setting', 'cron.launch_active_jobs', 'role', current_user, 'lacks', 'pg_monitor')
from pg_catalog.pg_extension as e
where e.extname = 'pg_cron'
    and string_to_array(substring(e.extversion from '^\d+\.\d+'), '.')::integer[] >= array[1, 6]
    and not pg_has_role('pg_read_all_settings', 'usage')
