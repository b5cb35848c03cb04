-- schedules_too_late_off: switch off up to 1000 enabled schedules that wait longer than frequency and window explain; their ids stay
-- in the setting autosync.too_late for schedules_too_late_on, in the same transaction.
with late as (
    select s.id
    from public.auto_sync_schedules as s
    where s.enabled and s.next_run_at > now() + make_interval(mins => greatest(s.frequency_minutes, 1440)) + interval '2 days'
    limit 1000
    for update skip locked
),
stopped as (
    update public.auto_sync_schedules as s set enabled = false from late as l where s.id = l.id returning s.id
)
select set_config('autosync.too_late', coalesce(array_agg(p.id)::text, '{}'), true) from stopped as p;
