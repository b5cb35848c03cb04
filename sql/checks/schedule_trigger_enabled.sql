-- schedule_trigger_enabled: the trigger that owns next_run_at is there, fires for every row written in every session, and no earlier
-- one, no trigger and no rule of the project's overrules it.
with schedules as (
    select c.oid
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relname = 'auto_sync_schedules' and c.relkind in ('r', 'p')
),
ours as (
    select t.tgenabled, t.tgtype, t.tgqual, t.tgattr, p.proname, n.nspname
    from schedules as s
    join pg_catalog.pg_trigger as t on t.tgrelid = s.oid and t.tgname = 'auto_sync_schedules_next_run_at'
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
),
-- what else is fired by the updates that claim and complete. Their text tells what they can do: what stands before its first branch,
-- they do every time. One that an extension brought, or that is fired by other columns alone, is let be.
theirs as (
    select t.tgname, format('%s.%s()', n.nspname, p.proname) as function, t.tgtype & 3 = 3 as is_before_row,
        t.tgname > 'auto_sync_schedules_next_run_at' as is_later, t.tgqual is null as is_always, b.body,
        split_part(regexp_replace(b.body, '\m(if|case|for|foreach|while|loop|exception\s+when)\M', chr(1)), chr(1), 1) as first_part,
        regexp_replace(b.body, '\mexception\s+when\M.*', '') as without_handlers
    from schedules as s
    join pg_catalog.pg_trigger as t on t.tgrelid = s.oid and not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 16 > 0
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    join pg_catalog.pg_language as l on l.oid = p.prolang and l.lanname = 'plpgsql'
    cross join lateral (
        -- without comments and strings
        select regexp_replace(regexp_replace(lower(p.prosrc), '/\*.*?\*/', ' ', 'g'), '--[^\n]*|''[^'']*''', ' ', 'g') as body
    ) as b
    where t.tgname <> 'auto_sync_schedules_next_run_at'
        and p.proname <> 'update_auto_sync_next_run'
        and (coalesce(array_length(t.tgattr::smallint[], 1), 0) = 0 or exists (
            select from pg_catalog.pg_attribute as a
            where a.attrelid = s.oid and a.attnum = any (t.tgattr::smallint[])
                and a.attname ~ '^(claim.*|completed_claim_id|last_run_.*|next_run_at|consecutive_failures)$'
        ))
        and not exists (
            select from pg_catalog.pg_depend as d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
),
harm as (
    select distinct on (h.tgname) h.tgname, h.function, w.status, w.detail
    from theirs as h
    cross join lateral (
        select 1 as number, 'critical' as status, 'raises at every update, so no claim and no result is written' as detail
        where h.is_always and h.first_part ~ '\mraise\s+(?!\s|debug|log|info|notice|warning)' and h.first_part !~ '\mreturn\M'
        union all
        select 2, 'critical', 'drops every update, so no claim and no result is written'
        where h.is_always and h.is_before_row and h.body ~ '\mreturn\s+(null|old)\s*;' and h.body !~ '\mreturn\s+(?!\s|(null|old)\s*;)'
        union all
        select 3, 'warning', 'writes next_run_at after the trigger that computes it: schedules may stand still, or run too often'
        where h.is_before_row and h.is_later
            and h.body ~ '(;|\m(begin|then|else|loop)\M)\s*new\.next_run_at\s*:?=|\minto\s+(strict\s+)?new\.next_run_at\M'
        union all
        select 4, 'warning', 'writes what claims and results consist of: schedules may run again and again, or never'
        where h.is_before_row
            and h.body ~ '(;|\m(begin|then|else|loop)\M)\s*new(\.(last_run_at|claim\w*|completed_claim_id)\s*:?=|\s*:?=\s*old\M)'
        union all
        select 5, 'warning', 'can refuse or drop what a claim or a result writes'
        where h.body ~ '\m(new|old)\.(next_run_at|last_run_\w+|claim\w+|completed_claim_id|consecutive_failures)\M'
            and (h.without_handlers ~ '\mraise\s+(?!\s|debug|log|info|notice|warning)' or h.is_before_row and h.body ~ '\mreturn\s+null\s*;')
    ) as w
    order by h.tgname, w.number
),
-- sessions of a replica's kind do not fire it; of the roles of the Data API, the one that logs in brings its settings along
silent as (
    select case when r.oid is not null then format('role %s', r.rolname)
            when d.setdatabase <> 0 then format('database %s', current_database())
            else 'all roles' end as place,
        r.rolname as role, case when d.setdatabase <> 0 then current_database() end as in_database,
        case when r.rolname = 'service_role' then 'warning' else 'critical' end as status
    from schedules as s
    join pg_catalog.pg_class as c on c.oid = s.oid
    join ours as o on o.tgenabled <> 'A'
    join pg_catalog.pg_db_role_setting as d
        on d.setdatabase in (0, (select b.oid from pg_catalog.pg_database as b where b.datname = current_database()))
    left join pg_catalog.pg_roles as r on r.oid = d.setrole
    where (d.setrole = 0 or r.oid = c.relowner or r.rolname in ('authenticator', 'service_role'))
        and exists (select from unnest(d.setconfig) as e (entry) where lower(e.entry) = 'session_replication_role=replica')
)
select f.status, 'trigger auto_sync_schedules_next_run_at' as object, f.detail,
    jsonb_build_object('trigger', 'auto_sync_schedules_next_run_at', 'reason', f.reason) as facts
from ours as o
cross join lateral (
    select 'critical' as status, 'is disabled, so next_run_at stands still' as detail, 'disabled' as reason
    where o.tgenabled = 'D'
    union all
    select 'critical', 'fires for replicated rows alone, so next_run_at stands still', 'disabled'
    where o.tgenabled = 'R'
    union all
    select 'critical', 'does not fire for every insert and update, whatever columns they name', 'narrowed'
    -- row (1), before (2), insert (4), update (16)
    where o.tgtype & 23 <> 23 or o.tgqual is not null or array_length(o.tgattr::smallint[], 1) > 0
    union all
    select 'critical', format('runs %s.%s(), not autosync.set_next_run_at()', o.nspname, o.proname), 'other_function'
    where o.nspname <> 'autosync' or o.proname <> 'set_next_run_at'
) as f
union all
select 'critical', 'trigger auto_sync_schedules_next_run_at', 'does not exist on public.auto_sync_schedules',
    jsonb_build_object('trigger', 'auto_sync_schedules_next_run_at', 'reason', 'missing')
where exists (select from schedules) and not exists (select from ours)
union all
select 'critical', format('trigger %s', t.tgname), 'computes next_run_at again at every update, as before this package: drop it',
    jsonb_build_object('trigger', t.tgname, 'reason', 'replaced')
from schedules as s
join pg_catalog.pg_trigger as t on t.tgrelid = s.oid
join pg_catalog.pg_proc as p on p.oid = t.tgfoid and p.proname = 'update_auto_sync_next_run'
where t.tgenabled <> 'D'
union all
select h.status, format('trigger %s', h.tgname), format('runs %s, which %s', h.function, h.detail),
    jsonb_build_object('reason', 'foreign', 'trigger', h.tgname, 'function', h.function)
from harm as h
union all
select case when w.is_instead and w.ev_type = '2' then 'critical' else 'warning' end, format('rule %s', w.rulename),
    format(case when w.is_instead then 'takes the place of every %s of a schedule' else 'adds something to every %s of a schedule' end,
        case w.ev_type when '2' then 'update' when '3' then 'insert' else 'delete' end),
    jsonb_build_object('reason', 'rule', 'rule', w.rulename)
from schedules as s
join pg_catalog.pg_rewrite as w on w.ev_class = s.oid and w.ev_type <> '1' and w.ev_enabled <> 'D'
union all
select i.status, i.place, 'sets session_replication_role = replica, so the trigger that computes next_run_at does not fire',
    jsonb_build_object('reason', 'setting', 'setting', 'session_replication_role', 'value', 'replica', 'role', i.role,
        'database', i.in_database)
from silent as i
union all
select 'critical', 'setting session_replication_role', 'is replica for the whole server, so the trigger that computes next_run_at does not fire',
    jsonb_build_object('reason', 'server')
from pg_catalog.pg_settings as g
join ours as o on o.tgenabled <> 'A'
where g.name = 'session_replication_role' and g.setting = 'replica' and g.source in ('configuration file', 'command line')
union all
select 'unknown', 'table public.auto_sync_schedules', 'does not exist',
    jsonb_build_object('reason', 'missing', 'table', 'public.auto_sync_schedules')
where not exists (select from schedules)
