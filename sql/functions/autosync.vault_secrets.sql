-- vault_secrets(): the secrets of the scheduled calls that are in the vault, by the names that they have in the table.
-- requires: 0004
-- A vault is shared with the rest of the project: ours are marked by their description, and where the project had the name
-- before, ours is called autosync.NAME. What the project put there itself under a name that every call reads is read, as
-- long as none of ours has that name, and never changed. Supabase's vault belongs to a superuser.
-- One of any other role is not read: its view would run that role's code with the caller's rights.
create or replace function autosync.vault_secrets()
returns table (id uuid, name text, secret text, created_at timestamptz, updated_at timestamptz)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    outsider name;
begin
    select r.rolname into outsider
    from (
        select n.nspowner from pg_catalog.pg_namespace as n where n.nspname = 'vault'
        union all
        select c.relowner
        from pg_catalog.pg_class as c
        where c.relnamespace = to_regnamespace('vault') and c.relname in ('secrets', 'decrypted_secrets')
        union all
        select p.proowner
        from pg_catalog.pg_proc as p
        where p.pronamespace = to_regnamespace('vault') and p.proname in ('create_secret', 'update_secret')
    ) as o (role)
    join pg_catalog.pg_roles as r on r.oid = o.role
    join pg_catalog.pg_namespace as ours on ours.nspname = 'autosync'
    join pg_catalog.pg_roles as me on me.oid = ours.nspowner
    where not r.rolsuper and (me.rolsuper or not pg_has_role(me.oid, o.role, 'usage'))
    limit 1;
    if found then
        raise exception 'the vault belongs to the role %, and is not Supabase''s', outsider using errcode = 'insufficient_privilege';
    end if;
    -- the schema may be missing when this function is made
    return query execute
        $query$
        select distinct on (n.name) v.id, n.name, v.decrypted_secret, v.created_at, v.updated_at
        from vault.decrypted_secrets as v
        cross join lateral (select coalesce(v.description, '') like 'autosync-db%' as is_ours) as o
        cross join lateral (
            select case when o.is_ours then regexp_replace(v.name, '^autosync[.]', '') else v.name end as name
        ) as n
        where o.is_ours and v.name not like '%.previous'
            or v.name in ('project_url', 'service_role_key', 'cron_secret')
        order by n.name, o.is_ours desc
        $query$;
end
$$;

revoke all on function autosync.vault_secrets() from public;

comment on function autosync.vault_secrets() is 'the secrets of the scheduled calls that are in the vault';
