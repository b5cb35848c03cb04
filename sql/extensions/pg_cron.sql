-- pg_cron: the scheduler, in pg_catalog; its own objects are in the schema cron.
-- requires: 0001
-- No version: hosted platforms choose it. Applied again when somebody has dropped it, and with it every job.
do $$
begin
    if exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_cron') then
        return;
    end if;
    create extension if not exists pg_cron with schema pg_catalog;
    -- what setup makes to ask for the gateway's address, before there is a schema of ours, is not noted
    if to_regclass('autosync.setting') is null then
        return;
    end if;
    -- teardown may offer to drop what was made here, and nothing else
    insert into autosync.setting as s (name, value)
    select 'extensions_made', pg_catalog.jsonb_build_object(e.extname, cast(e.oid as bigint))
    from pg_catalog.pg_extension as e
    where e.extname = 'pg_cron'
    on conflict on constraint setting_pkey do update
    set value = s.value || excluded.value, updated_at = pg_catalog.clock_timestamp();
end
$$;
