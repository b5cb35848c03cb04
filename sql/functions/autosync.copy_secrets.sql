-- copy_secrets(from_store): copy every secret from the store that they were in to the one that they shall be in.
-- requires: 0006
-- The copies left behind stay until the move is proven. A secret of the same name that is in the vault already, with
-- another value and not put there by this toolkit, belongs to somebody else: it raises AS002.
create or replace function autosync.copy_secrets(from_store text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
    foreign_name text;
begin
    if from_store = 'vault' then
        for item in execute
            $query$
            select v.name, v.decrypted_secret as secret
            from vault.decrypted_secrets as v
            where v.name in ('project_url', 'service_role_key', 'cron_secret')
                or v.description like 'autosync-db%' and v.name not like '%.previous'
            $query$
        loop
            perform autosync.put_secret(item.name, item.secret);
        end loop;
        return;
    end if;
    execute
        $query$
        select v.name
        from vault.decrypted_secrets as v
        join public.pg_cron_secrets as s on s.name = v.name
        where v.decrypted_secret is distinct from s.secret and v.description not like 'autosync-db%'
        order by v.name
        limit 1
        $query$
    into foreign_name;
    if foreign_name is not null then
        raise exception 'the vault already has a secret "%" with another value', foreign_name
            using errcode = 'AS002', hint = 'rename or delete that one in the vault first';
    end if;
    for item in select s.name, s.secret from public.pg_cron_secrets as s order by s.name loop
        perform autosync.put_secret(item.name, item.secret);
    end loop;
end
$$;

revoke all on function autosync.copy_secrets(text) from public;

comment on function autosync.copy_secrets(text) is 'copy the secrets to the store that was chosen';
