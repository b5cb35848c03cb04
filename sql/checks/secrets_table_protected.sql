-- secrets_table_protected: row level security is on, no policy lets anybody in, and no other role has a privilege.
with secrets as (
    select c.oid, c.relrowsecurity, c.relowner, c.relacl
    from pg_catalog.pg_class as c
    where c.oid = 'public.pg_cron_secrets'::regclass
)
select 'critical' as status, 'table public.pg_cron_secrets' as object, 'row level security is off' as detail
from secrets as s
where not s.relrowsecurity
union all
select 'critical', 'table public.pg_cron_secrets',
    format('%s may %s it', case when a.grantee = 0 then 'everybody' else a.grantee::regrole::text end,
        string_agg(lower(a.privilege_type), ', ' order by a.privilege_type))
from secrets as s
cross join lateral aclexplode(coalesce(s.relacl, acldefault('r', s.relowner))) as a
left join pg_catalog.pg_roles as r on r.oid = a.grantee
where a.grantee <> s.relowner
    and coalesce(r.rolname, '') not in ('service_role', 'supabase_admin')
    and not coalesce(r.rolsuper, false)
group by a.grantee
union all
select 'critical', format('policy %s', p.policyname), format('lets %s pass: %s', p.roles, coalesce(p.qual, p.with_check))
from pg_catalog.pg_policies as p
where p.schemaname = 'public' and p.tablename = 'pg_cron_secrets' and p.permissive = 'PERMISSIVE'
    and coalesce(p.qual, p.with_check) <> 'false'
    and not p.roles <@ array['service_role']::name[]
