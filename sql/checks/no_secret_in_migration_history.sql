-- no_secret_in_migration_history: the newest 1000 migrations that the Supabase CLI ran here, whose texts it keeps. No text is
-- shown. The table may be missing, so its query is a text that runs only if it is there. What a view computes runs as whoever
-- reads it, and anybody may have made the schema: only a table of the owner, of a superuser or of who may act as this role is read.
with trusted as (
    select array_agg(r.oid) as roles
    from pg_catalog.pg_roles as r
    where pg_has_role(r.oid, current_user, 'member')
        or r.oid = (select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'autosync')
),
history as (
    select c.oid, has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
        c.relkind in ('r', 'p') and c.relowner = any (t.roles) and n.nspowner = any (t.roles) as is_trusted,
        pg_get_userbyid(case when n.nspowner = any (t.roles) then c.relowner else n.nspowner end) as owner
    from trusted as t
    cross join pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'supabase_migrations'
    join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attname = 'statements' and not a.attisdropped
    where c.relname = 'schema_migrations'
),
found as (
    select xpath('/table/row/version/text()', x.found)::text[] as versions,
        xpath('/table/row[in_use="true"]/version/text()', x.found)::text[] as in_use
    from (
        select query_to_xml(
            $query$
            select regexp_replace(m.version::text, '[^0-9A-Za-z_.-]', '', 'g') as version,
                exists (
                    select from autosync.stored_secrets() as k
                    where k.name = 'service_role_key'
                        and length(btrim(k.secret, E' \t\r\n')) > 15
                        and strpos(m.text, btrim(k.secret, E' \t\r\n')) > 0
                ) as in_use
            from (
                select h.version, array_to_string(h.statements, ' ') as text
                from supabase_migrations.schema_migrations as h
                order by h.version desc
                limit 1000
            ) as m
            where autosync.holds_key(m.text)
            order by m.version
            $query$, false, false, '') as found
        from history as h
        where h.readable and h.is_trusted
    ) as x
)
select case when array_length(f.in_use, 1) > 0 then 'critical' else 'warning' end as status,
    'table supabase_migrations.schema_migrations' as object,
    format('keeps the text of %s migrations that hold a key: %s%s%s', array_length(f.versions, 1),
        array_to_string(f.versions[1:10], ', '),
        case when array_length(f.versions, 1) > 10 then ', ...' else '' end,
        case when array_length(f.in_use, 1) > 0 then format('; the key that is in use is in %s', array_to_string(f.in_use[1:10], ', ')) else '' end
    ) as detail,
    jsonb_build_object('table', 'supabase_migrations.schema_migrations', 'migrations', to_jsonb(f.versions), 'in_use', to_jsonb(f.in_use)) as facts
from found as f
where array_length(f.versions, 1) > 0
union all
select 'unknown', 'table supabase_migrations.schema_migrations', 'this role may not read it',
    jsonb_build_object('reason', 'hidden', 'table', 'supabase_migrations.schema_migrations', 'role', current_user)
from history as h
where h.is_trusted and not h.readable
union all
select 'unknown', 'table supabase_migrations.schema_migrations',
    format('is not read: it is a view, or the role %s could have made it so', h.owner),
    jsonb_build_object('reason', 'not_trusted', 'table', 'supabase_migrations.schema_migrations', 'role', h.owner)
from history as h
where not h.is_trusted
union all
select 'unknown', 'secret service_role_key', 'cannot be compared with them: ' || k.reason,
    jsonb_build_object('reason', 'hidden', 'secret', 'service_role_key', 'role', current_user)
from history as h
cross join (select autosync.secrets_hidden() as reason) as k
where k.reason is not null
