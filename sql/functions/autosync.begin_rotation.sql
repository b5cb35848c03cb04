-- begin_rotation(rotation_token, lease, new_settings): activate new secrets and settings and keep what was there before.
-- requires: 0006
-- The secrets are the rows of pg_temp.incoming_secret (name, secret), which the caller filled by COPY. Returns the names under
-- rotation: those that changed, and those of a rotation whose lease had lapsed, whose kept values stay the ones to go back
-- to. Raises AS001 when another one holds the lease. One transaction, no session state: it works through any pooler.
create or replace function autosync.begin_rotation(rotation_token uuid, lease interval, new_settings jsonb default '{}')
returns table (name text, fingerprint_before text, fingerprint_after text)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
    old_store text;
    in_vault boolean;
begin
    perform autosync.take_over_rotation(rotation_token, lease);
    -- under its lock: another rotation may just have moved them
    old_store := autosync.secret_store();
    if new_settings -> 'secrets' ->> 'store' <> old_store
        and exists (select from autosync.secret_rotation as r where r.name not like 'setting:%')
    then
        raise exception 'the secrets cannot be moved while one of them is not proven'
            using errcode = 'AS002', hint = 'run: autosync-db rotate --resume';
    end if;

    for item in
        select n.key as setting_name, n.value as new_value, s.value as old_value
        from jsonb_each(new_settings) as n
        left join autosync.setting as s on s.name = n.key
        where s.value is distinct from n.value
    loop
        insert into autosync.secret_rotation as r (
            name, token, kept, previous, fingerprint_before, fingerprint_after, lease_expires_at
        )
        values (
            'setting:' || item.setting_name, rotation_token, case when item.old_value is null then 'nowhere' else 'here' end,
            item.old_value::text, item.old_value::text, item.new_value::text, clock_timestamp() + lease
        )
        on conflict on constraint secret_rotation_pkey do update set fingerprint_after = excluded.fingerprint_after;
        insert into autosync.setting as s (name, value) values (item.setting_name, item.new_value)
        on conflict on constraint setting_pkey do update set value = excluded.value, updated_at = clock_timestamp();
    end loop;
    in_vault := autosync.secret_store() = 'vault';
    if in_vault <> (old_store = 'vault') then
        perform autosync.copy_secrets(old_store);
    end if;

    for item in
        select i.name as secret_name, i.secret as new_value, s.secret as old_value
        from pg_temp.incoming_secret as i
        left join autosync.stored_secrets() as s on s.name = i.name
        where s.secret is distinct from i.secret
    loop
        if not exists (select from autosync.secret_rotation as r where r.name = item.secret_name) then
            if item.old_value is not null and in_vault then
                -- the vault encrypts what it holds; outside of it the value would lie open
                execute 'select vault.create_secret($1, $2, $3)'
                using item.old_value, item.secret_name || '.previous', 'autosync-db: kept until its successor is proven';
            end if;
            insert into autosync.secret_rotation (name, token, kept, previous, fingerprint_before, lease_expires_at)
            values (
                item.secret_name,
                rotation_token,
                case when item.old_value is null then 'nowhere' when in_vault then 'vault' else 'here' end,
                case when not in_vault then item.old_value end,
                autosync.fingerprint(item.old_value),
                clock_timestamp() + lease
            );
        end if;
        perform autosync.put_secret(item.secret_name, item.new_value);
    end loop;
    -- also of those that somebody stored already, since an earlier rotation that is gone on with
    update autosync.secret_rotation as r
    set fingerprint_after = autosync.fingerprint(i.secret)
    from pg_temp.incoming_secret as i
    where r.name = i.name;

    return query
        select r.name, r.fingerprint_before, r.fingerprint_after
        from autosync.secret_rotation as r
        where r.token = rotation_token
        order by r.name;
end
$$;

revoke all on function autosync.begin_rotation(uuid, interval, jsonb) from public;

comment on function autosync.begin_rotation(uuid, interval, jsonb) is
    'activate new secrets and keep the old ones until the new are proven';
