-- overdue_schedules(job_name): how many schedules of a draining job are due for too long and not being worked on, and since when.
-- requires: 0008
-- Too long is three ticks, a quarter of an hour at least. A time window counts from its opening; a schedule due for more than a day
-- has had a whole one. Of the 20000 that wait longest at most 1000 are counted. Asked by schedules_not_overdue and by the alerts.
create or replace function autosync.overdue_schedules(job_name text)
returns table (schedules bigint, oldest timestamptz)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
    with tick as materialized (
        select now() - p.patience as due_before
        from (select) as always
        left join autosync.job as j on j.name = overdue_schedules.job_name
        cross join lateral regexp_split_to_array(btrim(j.schedule), '\s+') as field
        -- the longest wait between two ticks, by the usual forms of a cron schedule
        cross join lateral (
            select greatest(15, 3 * case
                when j.schedule is null or j.schedule ~ 'second' then 1
                when j.schedule ~ '^@hourly' then 60
                when j.schedule ~ '^@(daily|midnight)' then 1440
                when field[3] <> '*' or field[4] <> '*' or field[5] <> '*' or j.schedule ~ '^@' then 44640
                when field[2] ~ '^\*/\d{1,2}$' then 60 * least(24, substr(field[2], 3)::integer)
                when field[2] <> '*' then 1440
                when field[1] = '*' then 1
                when field[1] ~ '^\*/\d{1,2}$' then least(60, substr(field[1], 3)::integer)
                else 60
            end) * interval '1 minute' as patience
        ) as p
    ),
    due as (
        select s.next_run_at, s.time_window_enabled, s.time_window_start, s.time_window_end, s.timezone
        from public.auto_sync_schedules as s
        where s.enabled
            -- a scalar, so that the index on next_run_at is read up to it and no further
            and s.next_run_at < (select t.due_before from tick as t)
            and (s.claim_expires_at is null or s.claim_expires_at <= now())
        order by s.next_run_at
        limit 20000
    ),
    overdue as (
        select d.next_run_at
        from due as d
        cross join tick as t
        where not d.time_window_enabled
            or d.next_run_at < t.due_before - interval '25 hours'
            or autosync.window_is_open(now(), d.time_window_start, d.time_window_end, d.timezone)
            and autosync.window_is_open(t.due_before, d.time_window_start, d.time_window_end, d.timezone)
        limit 1000
    )
    select count(*), min(o.next_run_at) from overdue as o
$$;

revoke all on function autosync.overdue_schedules(text) from public;

comment on function autosync.overdue_schedules(text) is 'how many schedules are due for too long';
