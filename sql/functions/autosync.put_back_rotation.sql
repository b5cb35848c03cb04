-- put_back_rotation(rotation_token): activate what was there before; return how many names that were.
-- requires: 0006
-- Zero says that somebody else took the rotation over, and then nothing was changed. A secret that somebody has replaced since
-- the rotation did, as by SQL, stays as it is: nobody else has it.
create or replace function autosync.put_back_rotation(rotation_token uuid)
returns integer
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    item autosync.secret_rotation;
    kept_value text;
    active_value text;
    newer_values jsonb := '{}';
    found_rows integer := 0;
begin
    -- the table before its rows, as take_over_rotation() does; of several that end one rotation the first one wins, and
    -- the others wait here and then find no row of their token
    lock table autosync.secret_rotation in row exclusive mode;
    -- secrets first: they were kept where the secrets are now
    for item in
        select r.*
        from autosync.secret_rotation as r
        where r.token = rotation_token
        order by r.name like 'setting:%', r.name
        for update
    loop
        found_rows := found_rows + 1;
        if item.name like 'setting:%' then
            if item.kept = 'nowhere' then
                delete from autosync.setting as s where s.name = substr(item.name, length('setting:') + 1);
            else
                update autosync.setting as s
                set value = item.previous::jsonb, updated_at = clock_timestamp()
                where s.name = substr(item.name, length('setting:') + 1);
            end if;
            if item.name = 'setting:secrets' then
                perform autosync.forget_secrets(case autosync.secret_store() when 'vault' then 'table' else 'vault' end);
            end if;
            continue;
        end if;
        -- holds off whoever writes by SQL
        perform from public.pg_cron_secrets as s where s.name = item.name for no key update;
        select s.secret into active_value from autosync.stored_secrets() as s where s.name = item.name;
        if autosync.fingerprint(active_value) <> item.fingerprint_after then
            newer_values := newer_values || jsonb_build_object(item.name, active_value);
            if item.kept = 'vault' then
                execute 'delete from vault.secrets as v where v.name = $1' using item.name || '.previous';
            end if;
        elsif item.kept = 'nowhere' then
            perform autosync.delete_secret(item.name);
        else
            kept_value := item.previous;
            if item.kept = 'vault' then
                execute 'select v.decrypted_secret from vault.decrypted_secrets as v where v.name = $1'
                into kept_value
                using item.name || '.previous';
                if kept_value is null then
                    raise exception 'the previous value of "%" is no longer in the vault', item.name
                        using errcode = 'AS002', hint = 'run: autosync-db rotate';
                end if;
                execute 'delete from vault.secrets as v where v.name = $1' using item.name || '.previous';
            end if;
            perform autosync.put_secret(item.name, kept_value);
        end if;
    end loop;
    -- where the secrets were to be moved, they are in the other place again
    perform autosync.put_secret(n.key, n.value) from jsonb_each_text(newer_values) as n;
    delete from autosync.secret_rotation as r where r.token = rotation_token;
    return found_rows;
end
$$;

revoke all on function autosync.put_back_rotation(uuid) from public;

comment on function autosync.put_back_rotation(uuid) is 'end a rotation: what was there before is active again';
