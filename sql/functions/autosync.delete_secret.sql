-- delete_secret(secret_name): delete a secret from where the secrets are; return whether there was one.
-- requires: 0006
-- A vault that cannot decrypt any more can still be emptied.
create or replace function autosync.delete_secret(secret_name text)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    present_id uuid;
    present_value text;
begin
    if autosync.secret_store() <> 'vault' then
        delete from public.pg_cron_secrets as s where s.name = delete_secret.secret_name;
        return found;
    end if;
    if to_regclass('vault.secrets') is null then
        return false;
    end if;
    -- ours, as put_secret() made it
    execute
        $query$
        select v.id
        from vault.secrets as v
        where v.name in ($1, 'autosync.' || $1) and v.description like 'autosync-db%' and v.name not like '%.previous'
        $query$
    into present_id
    using secret_name;
    if present_id is null then
        return false;
    end if;
    begin
        execute 'select v.decrypted_secret from vault.decrypted_secrets as v where v.id = $1' into present_value using present_id;
    exception
        when others then
            present_value := null;
    end;
    execute 'delete from vault.secrets as v where v.id = $1' using present_id;
    perform autosync.note_secret_change('vault', secret_name, present_value, null);
    return true;
end
$$;

revoke all on function autosync.delete_secret(text) from public;

comment on function autosync.delete_secret(text) is 'delete a secret from the table or the vault';
