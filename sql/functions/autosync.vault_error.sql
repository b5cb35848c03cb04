-- vault_error(): why the vault does not give the secrets out, though the calling role may ask; null when it does, or none is used.
-- requires: 0004
-- After a restore from a dump the vault is without the key that its secrets were encrypted with.
create or replace function autosync.vault_error()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if autosync.secret_store() = 'vault' and autosync.secrets_hidden() is null then
        perform s.secret from autosync.stored_secrets() as s;
    end if;
    return null;
exception
    when others then
        return sqlerrm;
end
$$;

revoke all on function autosync.vault_error() from public;

comment on function autosync.vault_error() is 'why the vault does not give the secrets out';
