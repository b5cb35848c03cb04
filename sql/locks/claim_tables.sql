-- claim_tables: lock every table of ours, or none.
-- A rollback locks every table. Ticks, writes of the API and housekeeping lock several, too, each in an order of its own. So this
-- waits for the next table for less long than the server waits before it looks for a deadlock, which it would end by failing one
-- of those.
do $claim$
declare
    share constant double precision := 0.6;
    attempts constant integer := 8;
    patience interval;
    began timestamptz;
    wanted regclass;
begin
    patience := share * current_setting('deadlock_timeout')::interval;
    for attempt in 1 .. attempts loop
        begin
            began := clock_timestamp();
            for wanted in
                select c.oid
                from pg_catalog.pg_class as c
                where c.relkind = 'r' and has_table_privilege(c.oid, 'update')
                    and (
                        c.relnamespace = to_regnamespace('autosync')
                        or c.oid in (to_regclass('public.pg_cron_secrets'), to_regclass('public.auto_sync_schedules'))
                    )
                order by c.relnamespace <> 'public'::regnamespace, c.oid
            loop
                perform set_config(
                    'lock_timeout',
                    greatest(1, ceil(1000 * extract(epoch from patience - (clock_timestamp() - began))))::text,
                    true
                );
                execute format('lock table %s in access exclusive mode', wanted);
            end loop;
            return;
        exception
            when lock_not_available then
                if attempt = attempts then
                    raise;
                end if;
                perform pg_sleep(random() * extract(epoch from patience));
        end;
    end loop;
end;
$claim$;
