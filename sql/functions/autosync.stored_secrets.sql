-- stored_secrets(): every secret with its value, from wherever the secrets are.
-- requires: 0004
-- It works with the caller's rights. Which of a vault's secrets are meant, vault_secrets() says.
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
    -- a block with an exception is a subtransaction: the table is read without one
    begin
        return query
            select v.name, v.secret, v.created_at, v.updated_at
            from autosync.vault_secrets() as v;
    exception
        when undefined_table or invalid_schema_name or insufficient_privilege or external_routine_exception or data_exception
            or undefined_function or undefined_column
        then
            raise exception 'the secrets are in the vault, which cannot be read: %', sqlerrm
                using errcode = 'AS003', hint = 'see: autosync-db explain rotation, "Vault"';
    end;
end
$$;

revoke all on function autosync.stored_secrets() from public;

comment on function autosync.stored_secrets() is 'the secrets and their values, from the table or the vault';
