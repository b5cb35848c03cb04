-- cron_timezone_utc: the zone in which pg_cron reads schedules. It has the setting since 1.5; before, a line in the file is
-- shown and ignored, which pg_settings tells apart. A schedule that names no hour and no day is the same in every zone.
with zone as (
    select e.extversion as version, s.setting, s.pending_restart,
        case when pg_has_role('pg_read_all_settings', 'usage') and s.name is null
            then current_setting('cron.timezone', true)
        end as ignored
    from (select) as always
    left join pg_catalog.pg_extension as e on e.extname = 'pg_cron'
    left join pg_catalog.pg_settings as s on s.name = 'cron.timezone'
),
job as (
    -- one for all; whichever names an hour or a day
    select c.jobname, c.schedule, b.bound
    from cron.job as c
    cross join lateral (
        select c.schedule ~ '^\s*@(daily|midnight|weekly|monthly|yearly|annually)'
            or c.schedule ~ '^\s*[^@\s]+\s+[^\s]+\s+[^\s]+\s+[^\s]+' and c.schedule !~ '^\s*\S+\s+\*\s+\*\s+\*\s+\*' as bound
    ) as b
    where c.jobname in (select o.name from chosen_jobs as o)
    order by b.bound desc, c.jobid
    limit 1
)
select case when j.bound then 'warning' else 'ok' end as status, 'setting cron.timezone' as object,
    case
        when z.pending_restart then format('is %s and was changed, which takes effect when PostgreSQL restarts', z.setting)
        when z.setting is not null then format('is %s: pg_cron reads %L in that time zone', z.setting, j.schedule)
        else format('is set to %s, which pg_cron %s ignores: it reads %L in GMT', z.ignored, z.version, j.schedule)
    end as detail,
    jsonb_build_object('setting', 'cron.timezone', 'value', coalesce(z.setting, z.ignored), 'job', j.jobname, 'cron_schedule', j.schedule) as facts
from zone as z
cross join job as j
where z.pending_restart
    or nullif(coalesce(z.setting, z.ignored), '') !~* '^(etc/)?(utc|gmt|uct|zulu|universal|greenwich|gmt[+-]?0)$'
union all
select 'unknown', 'setting cron.timezone', format('is not visible to this role; run: grant pg_monitor to %I', current_user),
    jsonb_build_object('reason', 'hidden', 'setting', 'cron.timezone', 'role', current_user, 'lacks', 'pg_monitor')
from zone as z
where not pg_has_role('pg_read_all_settings', 'usage')
    and string_to_array(substring(z.version from '^\d+\.\d+'), '.')::integer[] >= array[1, 5]
