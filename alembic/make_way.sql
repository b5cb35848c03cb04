-- make way: take away what declarative schema files made, where no revision has run, so that the revisions can.
-- Such a database has our tables, functions and jobs and no row in them. The two tables in public stay, and are adopted:
-- they may hold rows by now. What somebody made on our tables keeps them from being dropped, and the server names it.
do $make_way$
declare
    kept constant text[] := array['alembic_version', 'object', 'adopted', 'setting', 'job', 'secret_change', 'secret_rotation'];
    is_filled boolean;
    name text;
    statement text;
    dependents text;
begin
    foreach name in array kept loop
        -- a database that declarative files made has all of them
        if to_regclass('autosync.' || name) is null then
            return;
        end if;
        execute pg_catalog.format('select exists (select from autosync.%I)', name) into is_filled;
        if is_filled then
            return;
        end if;
    end loop;

    if to_regclass('cron.job') is not null then
        perform cron.unschedule(c.jobid)
        from cron.job as c
        where c.username = current_user
            and (c.command like 'select autosync.dispatch(%' or c.command = 'select autosync.keep_house()');
    end if;

    for statement in
        select pg_catalog.format('drop trigger %I on %s', t.tgname, cast(t.tgrelid as regclass))
        from pg_catalog.pg_trigger as t
        join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        where p.pronamespace = to_regnamespace('autosync') and not t.tgisinternal
    loop
        execute statement;
    end loop;

    -- one statement, as they may need each other
    select 'drop function ' || pg_catalog.string_agg(cast(cast(p.oid as regprocedure) as text), ', ') into statement
    from pg_catalog.pg_proc as p
    where p.pronamespace = to_regnamespace('autosync')
        or (p.pronamespace = to_regnamespace('public')
            and p.proname in ('auto_sync_claim', 'auto_sync_complete', 'auto_sync_report'));
    execute statement;

    select 'drop table ' || pg_catalog.string_agg(cast(cast(c.oid as regclass) as text), ', ') into statement
    from pg_catalog.pg_class as c
    where c.relnamespace = to_regnamespace('autosync') and c.relkind = 'r' and c.relname <> 'alembic_version';
    execute statement;
exception when dependent_objects_still_exist then
    get stacked diagnostics dependents = pg_exception_detail;
    raise exception 'the schema autosync is to be made again, but %', pg_catalog.replace(dependents, E'\n', '; ')
        using errcode = 'dependent_objects_still_exist', hint = 'drop that, migrate, and make it again';
end
$make_way$;
