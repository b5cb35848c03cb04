-- delete_secret(secret_name): delete a secret from where the secrets are; return whether there was one.
-- requires: 0006
create or replace function autosync.delete_secret(secret_name text)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    present_value text;
begin
    if autosync.secret_store() <> 'vault' then
        delete from public.pg_cron_secrets as s where s.name = delete_secret.secret_name;
        return found;
    end if;
    select s.secret into present_value from autosync.stored_secrets() as s where s.name = delete_secret.secret_name;
    if not found then
        return false;
    end if;
    execute 'delete from vault.secrets as v where v.name = $1' using secret_name;
    perform autosync.note_secret_change('vault', secret_name, present_value, null);
    return true;
end
$$;

revoke all on function autosync.delete_secret(text) from public;

comment on function autosync.delete_secret(text) is 'delete a secret from the table or the vault';
