-- schedules_table_protected: row level security is on, no policy but the chosen one lets API users in, no API user writes what
-- belongs to the trigger and the function, and no view or function shows them rows with its owner's rights. One that asks who the
-- user is decides for itself. Row level security holds no role that has BYPASSRLS, and whoever may act as one, or as the owner.
with recursive schedules as (
    select c.oid, c.relrowsecurity, c.relowner, c.relacl
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relname = 'auto_sync_schedules' and c.relkind in ('r', 'p')
),
api as (
    select r.oid, r.rolname, r.rolsuper, r.rolbypassrls from pg_catalog.pg_roles as r where r.rolname in ('anon', 'authenticated')
),
-- only the modes other than "none" grant anything to authenticated; in "custom" the project's own policies decide
chosen as (
    select exists (
        select from schedules as s
        join pg_catalog.pg_policy as p on p.polrelid = s.oid
        where p.polname in ('auto_sync_schedules_owner', 'auto_sync_schedules_organization')
    ) or m.is_custom as has_users, m.is_custom
    from (
        select exists (
            select from autosync.setting as t where t.name = 'isolation' and t.value ->> 'mode' = 'custom'
        ) as is_custom
    ) as m
),
readers as (
    select s.oid from schedules as s
    union
    select w.ev_class
    from readers as r
    join pg_catalog.pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = r.oid and d.classid = 'pg_rewrite'::regclass
    join pg_catalog.pg_rewrite as w on w.oid = d.objid
),
way as (
    select 'view' as kind, v.oid::regclass::text as name, v.relnamespace as namespace, a.oid as role, a.rolname
    from readers as r
    join pg_catalog.pg_class as v on v.oid = r.oid and v.relkind in ('v', 'm')
    cross join api as a
    where has_schema_privilege(a.oid, v.relnamespace, 'usage')
        and (has_table_privilege(a.oid, v.oid, 'select, insert, update, delete') or has_any_column_privilege(a.oid, v.oid, 'select, insert, update'))
        and not exists (
            select from pg_catalog.pg_options_to_table(v.reloptions) as o
            where o.option_name = 'security_invoker' and o.option_value::boolean
        )
        and pg_get_viewdef(v.oid) !~* '\mauth\.\w+\(|request\.jwt'
    union all
    select 'function', p.oid::regprocedure::text, p.pronamespace, a.oid, a.rolname
    from (
        select o.oid, o.pronamespace, coalesce(pg_get_function_sqlbody(o.oid), o.prosrc) as body
        from pg_catalog.pg_proc as o
        join pg_catalog.pg_namespace as n on n.oid = o.pronamespace
        where o.prosecdef and o.prokind in ('f', 'p') and o.prorettype <> 'trigger'::regtype
            and n.nspname not in ('autosync', 'cron', 'net', 'extensions', 'information_schema', 'pg_catalog')
            and not (n.nspname = 'public' and o.proname in ('auto_sync_claim', 'auto_sync_complete', 'auto_sync_report'))
        -- apart, so that the planner has no text searched but of these
        offset 0
    ) as p
    cross join api as a
    where p.body ~* '\mauto_sync_schedules\M'
        and p.body !~* '\mauth\.\w+\s*\(|request\.jwt|\mcurrent_(user|role)\M|\msession_user\M'
        and has_schema_privilege(a.oid, p.pronamespace, 'usage')
        and has_function_privilege(a.oid, p.oid, 'execute')
)
select f.status, f.object, f.detail, f.facts
from schedules as s
cross join lateral (
    select 'critical' as status, 'table public.auto_sync_schedules' as object, 'row level security is off' as detail,
        jsonb_build_object('reason', 'row_security', 'table', 'public.auto_sync_schedules') as facts
    where not s.relrowsecurity
    union all
    select 'critical', 'table public.auto_sync_schedules',
        format('%s may %s it', case when g.grantee = 0 then 'everybody' else g.grantee::regrole::text end,
            string_agg(lower(g.privilege_type), ', ' order by g.privilege_type)),
        jsonb_build_object('reason', 'privilege', 'table', 'public.auto_sync_schedules',
            'role', case when g.grantee = 0 then 'public' else pg_get_userbyid(g.grantee) end,
            'privileges', jsonb_agg(lower(g.privilege_type) order by g.privilege_type))
    from aclexplode(coalesce(s.relacl, acldefault('r', s.relowner))) as g
    cross join chosen as c
    left join api as a on a.oid = g.grantee
    where (g.grantee = 0 or a.oid is not null)
        and not (a.rolname is not distinct from 'authenticated' and c.has_users and g.privilege_type in ('SELECT', 'DELETE'))
    group by g.grantee
    union all
    select 'critical', 'table public.auto_sync_schedules',
        format('%s may write %s, which belong to the trigger and the function', a.rolname, string_agg(t.attname, ', ' order by t.attnum)),
        jsonb_build_object('reason', 'privilege', 'table', 'public.auto_sync_schedules', 'role', a.rolname,
            'columns', jsonb_agg(t.attname order by t.attnum))
    from api as a
    cross join pg_catalog.pg_attribute as t
    where t.attrelid = s.oid
        and t.attname in (
            'last_run_at', 'last_run_status', 'last_run_summary', 'next_run_at', 'claim_id', 'claimed_at', 'claim_expires_at',
            'claims_since_run', 'claim_retry_at', 'completed_claim_id', 'consecutive_failures'
        )
        and exists (
            select from aclexplode(t.attacl) as g
            where g.privilege_type in ('INSERT', 'UPDATE') and (g.grantee = 0 or g.grantee = a.oid)
        )
    group by a.oid, a.rolname
    union all
    select 'critical', format('role %s', a.rolname),
        case when a.rolsuper then 'is a superuser' else 'has BYPASSRLS' end || ': row level security does not hold it',
        jsonb_build_object('reason', case when a.rolsuper then 'superuser' else 'bypass' end, 'role', a.rolname)
    from api as a
    where a.rolsuper or a.rolbypassrls
    union all
    select 'critical', format('role %s', a.rolname),
        format('is a member of %s: as that it passes row level security', string_agg(pg_get_userbyid(m.roleid), ' and ' order by m.roleid)),
        jsonb_build_object('reason', 'member', 'role', a.rolname, 'member_of', min(pg_get_userbyid(m.roleid)),
            'roles', jsonb_agg(distinct pg_get_userbyid(m.roleid)))
    from api as a
    join pg_catalog.pg_auth_members as m on m.member = a.oid
    where not a.rolsuper
        and exists (
            select from pg_catalog.pg_roles as r
            where (r.rolsuper or r.rolbypassrls or r.oid = s.relowner) and pg_has_role(m.roleid, r.oid, 'member')
        )
    group by a.oid, a.rolname
    union all
    select 'critical', format('policy %s', p.policyname), format('lets %s pass: %s', p.roles, coalesce(nullif(p.qual, 'false'), p.with_check)),
        jsonb_build_object('reason', 'policy', 'policy', p.policyname, 'table', 'public.auto_sync_schedules', 'roles', to_jsonb(p.roles))
    from pg_catalog.pg_policies as p
    where p.schemaname = 'public'
        and p.tablename = 'auto_sync_schedules'
        and p.permissive = 'PERMISSIVE'
        and (coalesce(p.qual, 'false') <> 'false' or coalesce(p.with_check, 'false') <> 'false')
        and not p.roles <@ array['service_role']::name[]
        and not (select c.is_custom from chosen as c)
        and not (
            p.policyname in ('auto_sync_schedules_owner', 'auto_sync_schedules_organization')
            and p.roles = array['authenticated']::name[]
            and p.qual like '%auth.uid()%'
            and coalesce(p.with_check, p.qual) like '%auth.uid()%'
        )
) as f
union all
select case w.kind when 'view' then 'critical' else 'warning' end, format('%s %s', w.kind, w.name),
    format(case w.kind when 'view' then '%s may use it, and it shows schedules with its owner''s rights, whoever asks'
        else '%s may execute it, and it works on the schedules with its owner''s rights, whoever asks' end,
        string_agg(w.rolname, ' and ' order by w.rolname)),
    jsonb_build_object('reason', w.kind, case w.kind when 'view' then 'view' else 'signature' end, w.name,
        'roles', jsonb_agg(w.rolname order by w.rolname))
from way as w
group by w.kind, w.name
union all
select 'unknown', 'table public.auto_sync_schedules', 'does not exist',
    jsonb_build_object('reason', 'missing', 'table', 'public.auto_sync_schedules')
where not exists (select from schedules)
