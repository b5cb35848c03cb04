-- binding_findings(): what speaks against this database belonging to the project whose function it calls; no row when nothing does.
-- requires: 0004
-- `autosync-db setup` binds a database to a hosted project. critical: the stored address is another project's, or the database
-- was found in another project (`inherited_by`), so no call may be made. warning: this is another server than the one that was
-- bound. Platforms move a project to a new server when they upgrade or restore it, so that alone must not stop the calls.
-- Asked by dispatch() and by database_is_the_bound_one.
create or replace function autosync.binding_findings()
returns table (status text, object text, detail text)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    bound jsonb;
    bound_at timestamptz;
    called text;
    found_here jsonb;
begin
    select s.value, s.updated_at into bound, bound_at from autosync.setting as s where s.name = 'binding';
    if bound ->> 'project_ref' is null then
        return;
    end if;
    if bound ->> 'inherited_by' <> bound ->> 'project_ref' then
        return query select 'critical', format('database %s', current_database()), format(
            'is inherited from %s, off on purpose: it was found in %s', bound ->> 'project_ref', bound ->> 'inherited_by');
        return;
    end if;
    select substring(lower(btrim(s.secret, E' \t\r\n')) from '^https?://([a-z]{20})\.supabase\.(?:co|in)(?:[:/].*)?$') into called
    from autosync.stored_secrets() as s
    where s.name = 'project_url';
    if called <> bound ->> 'project_ref' then
        return query select 'critical', 'secret project_url', format(
            'names the project %s, but this database is bound to %s', called, bound ->> 'project_ref');
    end if;
    found_here := autosync.server_identity();
    if bound ? 'proving' then
        return query select 'warning', format('database %s', found_here ->> 'database'), format(
            'belongs to the project %s now, which no call has proven: until then its jobs call nobody', bound ->> 'project_ref');
    end if;
    if found_here ->> 'system_identifier' <> bound ->> 'system_identifier' then
        return query select 'warning', 'server', format(
            'is not the one that was bound to %s on %s%s', bound ->> 'project_ref', to_char(bound_at at time zone 'UTC', 'YYYY-MM-DD'),
            case when found_here ->> 'server_major' <> bound ->> 'server_major'
                then format(', which was PostgreSQL %s; this one is %s', bound ->> 'server_major', found_here ->> 'server_major')
                else ': this database was restored or copied'
            end);
    elsif found_here -> 'database_oid' <> bound -> 'database_oid' or found_here ->> 'database' <> bound ->> 'database' then
        return query select 'warning', format('database %s', found_here ->> 'database'), format(
            'is not the one that was bound to %s on %s, which was %s on this server', bound ->> 'project_ref',
            to_char(bound_at at time zone 'UTC', 'YYYY-MM-DD'), bound ->> 'database');
    end if;
end
$$;

revoke all on function autosync.binding_findings() from public;

comment on function autosync.binding_findings() is 'what speaks against this database belonging to the project that it calls';
