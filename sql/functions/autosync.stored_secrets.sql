-- stored_secrets(): every secret with its value, from wherever the secrets are.
-- requires: 0004
-- The one place that reads values; it works with the caller's rights. A vault is shared with the rest of the project:
-- ours are the names that dispatch() reads and what was stored by this toolkit.
create or replace function autosync.stored_secrets()
returns table (name text, secret text, created_at timestamptz, updated_at timestamptz)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if autosync.secret_store() <> 'vault' then
        return query
            select s.name, s.secret, s.created_at, s.updated_at
            from public.pg_cron_secrets as s;
        return;
    end if;
    -- the schema may be missing when this function is made
    return query execute
        $query$
        select v.name, v.decrypted_secret, v.created_at, v.updated_at
        from vault.decrypted_secrets as v
        where v.name in ('project_url', 'service_role_key', 'cron_secret')
            or v.description like 'autosync-db%' and v.name not like '%.previous'
        $query$;
exception
    when undefined_table or invalid_schema_name or insufficient_privilege or external_routine_exception or data_exception
        or undefined_function or undefined_column
    then
        if autosync.secret_store() <> 'vault' then
            raise;
        end if;
        raise exception 'the secrets are in the vault, which cannot be read: %', sqlerrm
            using errcode = 'AS003', hint = 'see docs/guides/rotation.md, "Vault"';
end
$$;

revoke all on function autosync.stored_secrets() from public;

comment on function autosync.stored_secrets() is 'the secrets and their values, from the table or the vault';
