-- cron_history_recorded: with cron.log_run off jobs run and cron.job_run_details stays as it was, which looks like an idle pg_cron.
select 'warning' as status, 'setting cron.log_run' as object,
    'is off: pg_cron records no run, so failed runs cannot be seen' as detail,
    jsonb_build_object('setting', s.name, 'value', s.setting) as facts
from pg_catalog.pg_settings as s
where s.name = 'cron.log_run' and s.setting = 'off'
union all
select 'unknown', 'setting cron.log_run', format('is not visible to this role; run: grant pg_monitor to %I', current_user),
    jsonb_build_object('reason', 'hidden', 'setting', 'cron.log_run', 'role', current_user, 'lacks', 'pg_monitor')
where not pg_has_role('pg_read_all_settings', 'usage')
