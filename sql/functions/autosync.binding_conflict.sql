-- binding_conflict(): why no call may be made from this database; both are null where calls may be made.
-- requires: 0004
-- The stored address is another project's, or the database was found in another project (`inherited_by`). Asked by each tick,
-- so it looks at no more than that: what else speaks of another server, binding_findings() says.
create or replace function autosync.binding_conflict(out object text, out detail text)
returns record
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    bound jsonb;
    called text;
begin
    select s.value into bound from autosync.setting as s where s.name = 'binding';
    if bound ->> 'project_ref' is null then
        return;
    end if;
    if bound ->> 'inherited_by' <> bound ->> 'project_ref' then
        object := format('database %s', current_database());
        detail := format(
            'is inherited from %s, off on purpose: it was found in %s', bound ->> 'project_ref', bound ->> 'inherited_by');
        return;
    end if;
    select substring(lower(btrim(s.secret, E' \t\r\n')) from '^https?://([a-z]{20})\.supabase\.(?:co|in)(?:[:/].*)?$') into called
    from autosync.stored_secrets() as s
    where s.name = 'project_url';
    if called <> bound ->> 'project_ref' then
        object := 'secret project_url';
        detail := format('names the project %s, but this database is bound to %s', called, bound ->> 'project_ref');
    end if;
end
$$;

revoke all on function autosync.binding_conflict() from public;

comment on function autosync.binding_conflict() is 'why no call may be made from this database';
