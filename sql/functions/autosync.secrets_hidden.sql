-- secrets_hidden(): why the calling role cannot see the secrets; null when it can.
-- requires: 0004
create or replace function autosync.secrets_hidden()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when autosync.secret_store() = 'table' and row_security_active('public.pg_cron_secrets')
            then 'its rows are hidden from this role by row level security'
        when autosync.secret_store() = 'vault' and to_regclass('vault.decrypted_secrets') is null
            then 'there is no such view, though the secrets were put there'
        when autosync.secret_store() = 'vault' and not has_schema_privilege('vault', 'usage')
            then 'this role may not use the schema vault'
        when autosync.secret_store() = 'vault' and not has_table_privilege(to_regclass('vault.decrypted_secrets'), 'select')
            then 'this role may not select it'
    end
$$;

revoke all on function autosync.secrets_hidden() from public;

comment on function autosync.secrets_hidden() is 'why the calling role cannot see the secrets';
