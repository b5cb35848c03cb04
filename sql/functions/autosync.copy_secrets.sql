-- copy_secrets(from_store): copy every secret from the store that they were in to the one that they shall be in.
-- requires: 0006
-- The copies left behind stay until the move is proven.
create or replace function autosync.copy_secrets(from_store text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
begin
    if from_store = 'vault' then
        for item in select v.name, v.secret from autosync.vault_secrets() as v loop
            perform autosync.put_secret(item.name, item.secret);
        end loop;
        return;
    end if;
    for item in select s.name, s.secret from public.pg_cron_secrets as s order by s.name loop
        perform autosync.put_secret(item.name, item.secret);
    end loop;
end
$$;

revoke all on function autosync.copy_secrets(text) from public;

comment on function autosync.copy_secrets(text) is 'copy the secrets to the store that was chosen';
