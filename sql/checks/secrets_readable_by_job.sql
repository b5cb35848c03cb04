-- secrets_readable_by_job: dispatch() reads through read_secret(), as that function's owner. Judged from the catalogue.
with reader as (
    select p.proowner as oid
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'autosync'
    where p.proname = 'read_secret'
),
secrets as (
    select c.oid, c.relowner, c.relrowsecurity, c.relforcerowsecurity, c.relnamespace
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
    where c.relname = 'pg_cron_secrets'
)
select f.status, 'table public.pg_cron_secrets' as object, f.detail,
    jsonb_build_object('reason', f.reason, 'role', r.rolname, f.kind, f.name) as facts
from reader as d
join pg_catalog.pg_roles as r on r.oid = d.oid
cross join secrets as s
cross join lateral (
    select 'critical' as status, format('the role %s, as which the job reads it, may not select it', r.rolname) as detail, 'privilege' as reason,
        'table' as kind, 'public.pg_cron_secrets' as name
    where not has_table_privilege(r.oid, s.oid, 'select')
        and not (has_column_privilege(r.oid, s.oid, 'name', 'select') and has_column_privilege(r.oid, s.oid, 'secret', 'select'))
    union all
    select 'critical', format('the role %s, as which the job reads it, may not use the schema public', r.rolname),
        'privilege', 'schema', 'public'
    where not has_schema_privilege(r.oid, s.relnamespace, 'usage')
    union all
    select 'critical', format('row level security%s hides its rows from the role %s, as which the job reads it',
        case when pg_has_role(r.oid, s.relowner, 'usage') then ', forced on its owner,' else '' end, r.rolname),
        case when pg_has_role(r.oid, s.relowner, 'usage') then 'forced_row_security'
            when pg_has_role(r.oid, 'member') then 'row_security' else 'foreign_reader' end, 'table', 'public.pg_cron_secrets'
    where s.relrowsecurity
        and not r.rolsuper
        and not r.rolbypassrls
        and (s.relforcerowsecurity or not pg_has_role(r.oid, s.relowner, 'usage'))
        and not exists (
            select from pg_catalog.pg_policy as p
            cross join lateral unnest(p.polroles) as o (oid)
            where p.polrelid = s.oid
                and p.polpermissive
                and p.polcmd in ('r', '*')
                and pg_get_expr(p.polqual, p.polrelid) <> 'false'
                and (o.oid = 0 or pg_has_role(r.oid, o.oid, 'usage'))
        )
) as f
where autosync.secret_store() = 'table'
union all
select 'critical', 'view vault.decrypted_secrets',
    case when v.oid is null then 'does not exist, and the secrets were put there'
        else format('the role %s, as which the job reads it, may not select it', r.rolname)
    end,
    jsonb_build_object('reason', case when v.oid is null then 'missing' else 'privilege' end, 'role', r.rolname, 'view', 'vault.decrypted_secrets')
from reader as d
join pg_catalog.pg_roles as r on r.oid = d.oid
left join pg_catalog.pg_namespace as n on n.nspname = 'vault'
left join pg_catalog.pg_class as v on v.relnamespace = n.oid and v.relname = 'decrypted_secrets'
where autosync.secret_store() = 'vault'
    and not coalesce(has_schema_privilege(r.oid, n.oid, 'usage') and has_table_privilege(r.oid, v.oid, 'select'), false)
union all
select 'critical', 'view vault.decrypted_secrets', e.message, jsonb_build_object('reason', 'undecryptable', 'view', 'vault.decrypted_secrets')
from (select autosync.vault_error() as message) as e
where e.message is not null
union all
select 'unknown', 'function autosync.read_secret', 'does not exist',
    jsonb_build_object('reason', 'absent', 'function', 'autosync.read_secret')
where not exists (select from reader)
union all
select 'unknown', 'table public.pg_cron_secrets', 'does not exist',
    jsonb_build_object('reason', 'absent', 'table', 'public.pg_cron_secrets')
where not exists (select from secrets)
