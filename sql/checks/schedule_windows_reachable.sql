-- schedule_windows_reachable: every enabled time window contains a tick of the job: the 500 most used of 100000 schedules as they
-- lie in the table, for one whose window is shut is moved behind others. What was not read is said. Other limits only say what
-- cannot be more, so that the planner expects no more.
-- Ticks of a day are computed from the usual forms of a cron schedule, in UTC; any other form proves nothing.
with field as (
    select f.number, f.text, case f.number when 1 then 60 else 24 end as size
    from autosync.job as j
    cross join lateral regexp_split_to_table(
        case
            when j.schedule ~ '^\s*@hourly' then '0 * * * *'
            when j.schedule ~ '^\s*@(daily|midnight|weekly)' then '0 0 * * *'
            else btrim(j.schedule)
        end, '\s+'
    ) with ordinality as f (text, number)
    where j.name = checked.name
    limit 6
),
usable as (
    select count(*) = 5
        and bool_and(f.number > 2 or f.text ~ '^(\*|\d{1,2}(-\d{1,2})?)(/[1-9]\d?)?(,(\*|\d{1,2}(-\d{1,2})?)(/[1-9]\d?)?)*$')
        -- the days of a week make no window reachable that the times of a day do not reach; by another month the clock may differ
        and bool_and(f.number not in (3, 4) or f.text = '*') as is_usable
    from field as f
),
value as (
    select distinct f.number, v.at
    from field as f
    cross join usable as k
    cross join lateral (select i.item from regexp_split_to_table(f.text, ',') as i (item) limit 60) as i
    cross join lateral (
        select coalesce(substring(i.item, '^(\d+)')::integer, 0) as low,
            case
                when i.item ~ '^\d+-' then substring(i.item, '-(\d+)')::integer
                when i.item ~ '^\d+$' then i.item::integer
                else f.size - 1
            end as high,
            coalesce(substring(i.item, '/(\d+)$')::integer, 1) as step
    ) as r
    cross join lateral (select g.at from generate_series(r.low, least(r.high, f.size - 1), r.step) as g (at) limit 60) as v
    where k.is_usable and f.number <= 2
    limit 84
),
tick as (
    select h.at * 60 + m.at as minute from value as h join value as m on m.number = 1 where h.number = 2 limit 1440
),
gap as (
    select max((coalesce(t.next_minute, t.first_minute + 1440) - t.minute)) as minutes
    from (
        select k.minute, lead(k.minute) over (order by k.minute) as next_minute, min(k.minute) over () as first_minute
        from tick as k
    ) as t
),
looked as materialized (
    -- the first as they lie, by its place: of many ids the smallest takes longer to find than all the rest
    select l.time_window_start, l.time_window_end, l.timezone, count(*) as schedules, min(l.ctid) as place
    from (
        select s.ctid, s.enabled, s.next_run_at, s.time_window_enabled, s.time_window_start, s.time_window_end, s.timezone
        from public.auto_sync_schedules as s
        limit 100000
    ) as l
    where l.time_window_enabled and l.enabled and l.next_run_at is not null
    group by l.time_window_start, l.time_window_end, l.timezone
),
daily_window as (
    select k.time_window_start, k.time_window_end, k.timezone, k.schedules, k.place
    from looked as k
    order by k.schedules desc
    limit 500
),
scope as (
    select s.schedules, w.windows, c.reltuples::bigint as total, case when c.reltuples > 100000 then 'about ' || c.reltuples::bigint else 'more than 100000' end as shown
    -- one more tells that there are others
    from (select count(*) as schedules from (select from public.auto_sync_schedules limit 100001) as s) as s
    cross join (select count(*) as windows from looked) as w
    join pg_catalog.pg_class as c on c.oid = 'public.auto_sync_schedules'::regclass
),
zone as materialized (
    -- a place's name in other letters follows its clock as well
    select z.timezone, z.has_clock,
        autosync.is_time_zone(z.timezone)
            or z.has_clock and z.timezone ~* '^(africa|america|antarctica|arctic|asia|atlantic|australia|brazil|canada|chile|europe|indian|mexico|pacific|us)/'
            as is_known
    from (
        -- a zone that the server knows, by any name, has one half of the day or the other
        select d.timezone,
            autosync.window_is_open(now(), '00:00', '12:00', d.timezone) or autosync.window_is_open(now(), '12:00', '00:00', d.timezone) as has_clock
        from (select distinct w.timezone from daily_window as w) as d
    ) as z
),
judged as (
    select d.*, z.has_clock, z.is_known,
        z.has_clock and z.is_known and b.span_minutes < g.minutes and not exists (
            select from tick as t where ((t.minute - b.opens_minute)::numeric % 1440 + 1440) % 1440 < b.span_minutes
        ) as is_missed
    from daily_window as d
    join zone as z on z.timezone = d.timezone
    cross join gap as g
    cross join lateral (
        select (extract(epoch from d.time_window_end - d.time_window_start) / 60 + 1439.999999)::numeric % 1440 + 0.000001 as span_minutes,
            case when z.is_known then extract(epoch from d.time_window_start - (now() at time zone d.timezone - now() at time zone 'UTC')) / 60 end
                as opens_minute
    ) as b
)
select case when j.has_clock and not j.is_missed then 'warning' else 'critical' end as status, format('schedule %s', j.example) as object,
    case
        when not j.has_clock
            then format('%s schedules never run: the server knows no time zone %s', j.schedules, quote_literal(left(j.timezone, 60)))
        when j.is_missed
            then format('%s schedules never run: the window %s to %s (%s) contains no tick of the job', j.schedules, j.time_window_start,
                j.time_window_end, j.timezone)
        else format('the time zone of %s schedules, %s, is an abbreviation or an offset, which knows no summer time', j.schedules,
            quote_literal(left(j.timezone, 60)))
    end as detail,
    jsonb_build_object('reason', case when not j.has_clock then 'unknown_time_zone' when j.is_missed then 'no_tick' else 'fixed_offset' end,
        'schedule', j.example, 'count', j.schedules, 'time_zone', left(j.timezone, 60)) as facts
from (
    select i.*, (select e.id from public.auto_sync_schedules as e where e.ctid = i.place) as example
    from judged as i
    where not i.has_clock or i.is_missed or not i.is_known
    order by not i.has_clock or i.is_missed desc, i.schedules desc, i.place
    limit 20
) as j
union all
select 'ok', 'table public.auto_sync_schedules',
    concat_ws('; ',
        case when o.schedules > 100000 then format('100000 of %s schedules were looked at', o.shown) end,
        case when o.windows > 500 then format('the 500 most used of %s windows were looked at', o.windows) end),
    jsonb_build_object('table', 'public.auto_sync_schedules', 'count', least(o.schedules, 100000), 'total', greatest(o.total, o.schedules))
from scope as o
where o.schedules > 100000 or o.windows > 500
union all
select 'unknown', 'table public.auto_sync_schedules', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'public.auto_sync_schedules', 'role', current_user)
where row_security_active('public.auto_sync_schedules')
