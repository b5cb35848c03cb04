-- secrets_table_protected: row level security is on, no policy lets another role in, no other role has a privilege on the
-- table or on a view that reads it as its owner, and no publication sends it out.
with recursive secrets as (
    select c.oid, c.relrowsecurity, c.relowner, c.relacl
    from pg_catalog.pg_class as c
    where c.oid = 'public.pg_cron_secrets'::regclass
),
readers as (
    select s.oid from secrets as s
    union
    select w.ev_class
    from readers as r
    join pg_catalog.pg_depend as d on d.refclassid = 'pg_class'::regclass and d.refobjid = r.oid and d.classid = 'pg_rewrite'::regclass
    join pg_catalog.pg_rewrite as w on w.oid = d.objid
),
granted as (
    select s.oid, s.relowner, a.grantee, a.privilege_type
    from secrets as s
    cross join lateral aclexplode(coalesce(s.relacl, acldefault('r', s.relowner))) as a
    union
    select s.oid, s.relowner, a.grantee, format('%s (%s)', a.privilege_type, t.attname)
    from secrets as s
    join pg_catalog.pg_attribute as t on t.attrelid = s.oid and not t.attisdropped
    cross join lateral aclexplode(t.attacl) as a
    union
    select v.oid, v.relowner, a.grantee, a.privilege_type
    from readers as r
    join pg_catalog.pg_class as v on v.oid = r.oid and v.relkind in ('v', 'm')
    left join pg_catalog.pg_attribute as t on t.attrelid = v.oid and t.attacl is not null
    cross join lateral aclexplode(coalesce(v.relacl, acldefault('r', v.relowner)) || coalesce(t.attacl, '{}')) as a
    where not exists (
        select from pg_catalog.pg_options_to_table(v.reloptions) as o
        where o.option_name = 'security_invoker' and o.option_value::boolean
    )
)
select 'critical' as status, 'table public.pg_cron_secrets' as object, 'row level security is off' as detail,
    jsonb_build_object('reason', 'row_security', 'table', 'public.pg_cron_secrets') as facts
from secrets as s
where not s.relrowsecurity
union all
select 'critical', format('%s %s', case c.relkind when 'r' then 'table' else 'view' end, g.oid::regclass),
    format('%s may %s it', case when g.grantee = 0 then 'everybody' else g.grantee::regrole::text end,
        string_agg(lower(g.privilege_type), ', ' order by g.privilege_type)),
    jsonb_build_object('reason', 'privilege', case c.relkind when 'r' then 'table' else 'view' end, g.oid::regclass::text,
        'role', case when g.grantee = 0 then 'public' else pg_get_userbyid(g.grantee) end,
        'privileges', jsonb_agg(lower(g.privilege_type) order by g.privilege_type))
from granted as g
join pg_catalog.pg_class as c on c.oid = g.oid
left join pg_catalog.pg_roles as r on r.oid = g.grantee
where g.grantee <> g.relowner
    and g.grantee <> (select s.relowner from secrets as s)
    and coalesce(r.rolname, '') not in ('service_role', 'supabase_admin')
    and not coalesce(r.rolsuper, false)
group by g.oid, c.relkind, g.grantee
union all
select 'critical', format('policy %s', p.policyname), format('lets %s pass: %s', p.roles, coalesce(nullif(p.qual, 'false'), p.with_check)),
    jsonb_build_object('reason', 'policy', 'policy', p.policyname, 'table', 'public.pg_cron_secrets', 'roles', to_jsonb(p.roles))
from pg_catalog.pg_policies as p
where p.schemaname = 'public' and p.tablename = 'pg_cron_secrets' and p.permissive = 'PERMISSIVE'
    and (coalesce(p.qual, 'false') <> 'false' or coalesce(p.with_check, 'false') <> 'false')
    and not p.roles <@ array['service_role']::name[]
union all
-- who may act as one that reads the secrets, directly or by way of others
select 'critical', format('role %s', a.rolname),
    format('is a member of %s: as that it may read the secrets', string_agg(pg_get_userbyid(m.roleid), ' and ' order by m.roleid)),
    jsonb_build_object('reason', 'member', 'role', a.rolname, 'member_of', min(pg_get_userbyid(m.roleid)),
        'roles', jsonb_agg(distinct pg_get_userbyid(m.roleid)))
from secrets as s
join pg_catalog.pg_roles as a on a.rolname in ('anon', 'authenticated') and not a.rolsuper
join pg_catalog.pg_auth_members as m on m.member = a.oid
where exists (
    select from pg_catalog.pg_roles as r
    where (r.rolsuper or r.oid = s.relowner or r.rolname = 'service_role') and pg_has_role(m.roleid, r.oid, 'member')
)
group by a.oid, a.rolname
union all
select 'critical', format('publication %s', p.pubname), 'sends public.pg_cron_secrets to its subscribers',
    jsonb_build_object('reason', 'publication', 'publication', p.pubname, 'table', 'public.pg_cron_secrets')
from pg_catalog.pg_publication_tables as p
where p.schemaname = 'public' and p.tablename = 'pg_cron_secrets'
union all
-- one that writes the row, or the secret of it, somewhere else: such as that of an audit of all tables
select 'critical', format('trigger %s', t.tgname),
    format('hands each secret that is stored to %s.%s(), which writes it elsewhere: replace what it has copied', n.nspname, p.proname),
    jsonb_build_object('reason', 'copied', 'trigger', t.tgname, 'function', format('%I.%I', n.nspname, p.proname))
from secrets as s
join pg_catalog.pg_trigger as t on t.tgrelid = s.oid and not t.tgisinternal and t.tgenabled <> 'D'
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname <> 'autosync'
cross join lateral (
    -- without comments
    select regexp_replace(regexp_replace(lower(p.prosrc), '/\*.*?\*/', ' ', 'g'), '--[^\n]*', ' ', 'g') as text
) as b
where b.text ~ '\m(insert\s+into|http_(post|get|request)|pg_notify|dblink\w*)\M'
    and b.text ~ '\m(to_jsonb?|row_to_json|hstore|jsonb_build_\w+|json_build_\w+)\s*\(\s*(new|old)\M|\m(new|old)\s*(\.\s*(\*|secret\M)|::)|\m(values|select)\s*\(?[^;]*\m(new|old)\M\s*[,)]|cast\s*\(\s*(new|old)\M'
