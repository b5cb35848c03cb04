-- cron_history_recorded: with cron.log_run off jobs run and cron.job_run_details stays as it was, which looks like an idle pg_cron.
select 'warning' as status, 'setting cron.log_run' as object,
    'is off: pg_cron writes no run down, so failed runs cannot be seen' as detail
from pg_catalog.pg_settings as s
where s.name = 'cron.log_run' and s.setting = 'off'
union all
select 'unknown', 'setting cron.log_run', format('is not visible to this role; run: grant pg_monitor to %I', current_user)
where not pg_has_role('pg_read_all_settings', 'usage')
