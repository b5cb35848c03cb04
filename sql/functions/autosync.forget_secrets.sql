-- forget_secrets(from_store): delete every secret of ours from the store that they were moved away from.
-- requires: 0006
-- What somebody else put into the vault stays there.
create or replace function autosync.forget_secrets(from_store text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
    old_value text;
begin
    if from_store <> 'vault' then
        delete from public.pg_cron_secrets as s where true;
        return;
    end if;
    if to_regclass('vault.decrypted_secrets') is null then
        return;
    end if;
    for item in execute 'select v.id, v.name from vault.secrets as v where v.description like ''autosync-db%'''
    loop
        begin
            execute 'select v.decrypted_secret from vault.decrypted_secrets as v where v.id = $1' into old_value using item.id;
        exception
            when others then
                -- a vault that cannot decrypt any more can still be emptied
                old_value := null;
        end;
        execute 'delete from vault.secrets as v where v.id = $1' using item.id;
        perform autosync.note_secret_change('vault', regexp_replace(item.name, '^autosync[.]', ''), old_value, null);
    end loop;
exception
    when insufficient_privilege then
        raise warning 'the secrets of autosync-db stay in the vault: %', sqlerrm;
end
$$;

revoke all on function autosync.forget_secrets(text) from public;

comment on function autosync.forget_secrets(text) is 'delete the secrets from the store that they left';
