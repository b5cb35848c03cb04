-- schedules_too_late_on: switch on again what schedules_too_late_off switched off, so that the trigger computes next_run_at; return
-- how many of them come in time by that.
with started as (
    update public.auto_sync_schedules as s
    set enabled = true
    where s.id = any (current_setting('autosync.too_late')::uuid[])
    returning s.next_run_at, s.frequency_minutes
)
select count(*) from started as d where d.next_run_at <= now() + make_interval(mins => greatest(d.frequency_minutes, 1440)) + interval '2 days';
