-- await_tables: wait for each table of the API in turn while nothing is locked, and let it go again.
-- Whoever waits behind a lock that is waited for waits as long. So a long transaction is met here, and not later, with one
-- table locked or a million rows changed.
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
