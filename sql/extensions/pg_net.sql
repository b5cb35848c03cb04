-- pg_net: the HTTP client; its own objects are in the schema net.
-- requires: 0001
-- The extension itself goes to the schema extensions where the platform has one: linters warn about extensions in public.
do $$
begin
    if exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_net') then
        return;
    end if;
    if to_regnamespace('extensions') is not null then
        create extension if not exists pg_net with schema extensions;
    else
        create extension if not exists pg_net with schema public;
    end if;
    -- what setup makes to ask for the gateway's address, before there is a schema of ours, is not noted
    if to_regclass('autosync.setting') is null then
        return;
    end if;
    -- teardown may offer to drop what was made here, and nothing else
    insert into autosync.setting as s (name, value)
    select 'extensions_made', pg_catalog.jsonb_build_object(e.extname, cast(e.oid as bigint))
    from pg_catalog.pg_extension as e
    where e.extname = 'pg_net'
    on conflict on constraint setting_pkey do update
    set value = s.value || excluded.value, updated_at = pg_catalog.clock_timestamp();
end
$$;
