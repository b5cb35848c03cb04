-- await_tables: wait for each table of the API in turn while nothing is locked, and let it go again.
-- Whoever comes after a session that waits for a lock waits as long as it does. So a long transaction is waited for here, and not
-- later, when a table is locked already or a million rows are changed.
do $await$
declare
    wanted regclass;
begin
    for wanted in
        select c.oid
        from unnest(array['public.pg_cron_secrets', 'public.auto_sync_schedules']) as w (name)
        join pg_catalog.pg_class as c on c.oid = to_regclass(w.name)
        where c.relkind = 'r' and has_table_privilege(c.oid, 'update')
    loop
        begin
            execute format('lock table %s in access exclusive mode', wanted);
            raise sqlstate 'AS000';
        exception
            when sqlstate 'AS000' then null;
        end;
    end loop;
end
$await$;
