-- retired: what is replaced or no longer needed of a table of schedules that was there: triggers, indexes and functions.
do $retired$
declare
    search_path_before constant text := current_setting('search_path');
begin
    -- names are then shown with their schema
    perform set_config('search_path', '', true);
    perform set_config('autosync.retired', jsonb_build_object(
        -- what recomputed next_run_at on every update, by its name or by its function
        'triggers', (
            select coalesce(jsonb_agg(t.tgname order by t.tgname), '[]')
            from pg_catalog.pg_trigger as t
            where t.tgrelid = to_regclass('public.auto_sync_schedules') and not t.tgisinternal
                and (
                    t.tgname = 'trigger_update_auto_sync_next_run'
                    or t.tgfoid = to_regprocedure('public.update_auto_sync_next_run()')
                )
        ),
        -- the unique constraint has the same index; an index on a boolean is never selective
        'indexes', (
            select coalesce(jsonb_agg(c.relname order by c.relname), '[]')
            from pg_catalog.pg_index as i
            join pg_catalog.pg_class as c on c.oid = i.indexrelid
            join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
            where i.indrelid = to_regclass('public.auto_sync_schedules') and i.indnatts = 1 and not i.indisunique
                and (c.relname, a.attname) in (
                    ('idx_auto_sync_schedules_integration_id', 'integration_id'),
                    ('idx_auto_sync_schedules_enabled', 'enabled')
                )
        ),
        -- users: functions that name it in their text, which leaves no dependency
        'functions', (
            select coalesce(jsonb_agg(jsonb_build_object('name', p.oid::regprocedure::text, 'users', (
                select string_agg(f.oid::regprocedure::text, ', ' order by f.oid::regprocedure::text)
                from pg_catalog.pg_proc as f
                where f.pronamespace <> 'pg_catalog'::regnamespace and f.oid <> p.oid
                    and f.prosrc ~ ('\m' || p.proname || '\M')
                    and f.oid is distinct from to_regprocedure('public.update_auto_sync_next_run()')
            )) order by w.position), '[]')
            from (values
                (1, to_regprocedure('public.update_auto_sync_next_run()')),
                (2, to_regprocedure('public.calculate_next_run(integer, boolean, time, time)'))
            ) as w (position, signature)
            join pg_catalog.pg_proc as p on p.oid = w.signature
        )
    )::text, true);
    perform set_config('search_path', search_path_before, true);
end
$retired$
