-- schedules_have_next_run: let the trigger compute next_run_at of up to 5000 enabled schedules; return how many got one.
with missing as (
    select s.id from public.auto_sync_schedules as s where s.enabled and s.next_run_at is null limit 5000 for update skip locked
),
repaired as (
    update public.auto_sync_schedules as s
    set updated_at = now()
    from missing as m
    where s.id = m.id
    returning s.next_run_at
)
select count(r.next_run_at) from repaired as r;
