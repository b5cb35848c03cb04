-- complete_schedules: add the columns and constraints that the table lacks, all in one statement: it is read once.
do $complete$
declare
    adopted constant boolean := exists (select from autosync.adopted as a where a.revision = '0003');
    new_columns constant text := $columns$
    add column if not exists timezone text not null default 'UTC',
    add column if not exists claim_id uuid,
    add column if not exists claimed_at timestamptz,
    add column if not exists claim_expires_at timestamptz,
    add column if not exists claims_since_run integer not null default 0,
    add column if not exists claim_retry_at timestamptz,
    add column if not exists completed_claim_id uuid,
    add column if not exists consecutive_failures integer not null default 0
$columns$;
    changes text[] := array[new_columns];
    wanted record;
begin
    -- how the server itself shows our checks
    create temporary table autosync_shape (like public.auto_sync_schedules);
    execute 'alter table pg_temp.autosync_shape ' || new_columns;
    for wanted in
        select c.name, c.condition
        from jsonb_to_recordset(current_setting('autosync.checks')::jsonb) as c (name name, condition text)
    loop
        execute format(
            'alter table pg_temp.autosync_shape add constraint %I check (%s)', wanted.name, wanted.condition);
    end loop;
    for wanted in
        select o.conname as name, pg_get_constraintdef(o.oid) as ours, pg_get_constraintdef(k.oid) as theirs
        from pg_catalog.pg_constraint as o
        left join pg_catalog.pg_constraint as k
            on k.conrelid = to_regclass('public.auto_sync_schedules') and k.conname = o.conname
        where o.conrelid = to_regclass('pg_temp.autosync_shape') and o.contype = 'c'
        order by o.conname
    loop
        continue when wanted.theirs = wanted.ours;
        if adopted then
            insert into autosync.adopted (revision, step, object, undo) values (
                '0003', 30, 'constraint ' || wanted.name,
                format('alter table public.auto_sync_schedules drop constraint if exists %I', wanted.name));
        end if;
        if wanted.theirs is not null
            and wanted.name <> 'valid_time_window' and replace(wanted.theirs, ' NOT VALID', '') <> wanted.ours then
            -- it says something else, so it is the project's and stays, under another name
            execute format('alter table public.auto_sync_schedules rename constraint %I to %I',
                wanted.name, wanted.name || '_before');
            insert into autosync.adopted (revision, step, object, undo) values (
                '0003', 50, 'constraint ' || wanted.name,
                format('alter table public.auto_sync_schedules rename constraint %I to %I',
                    wanted.name || '_before', wanted.name));
        elsif wanted.theirs is not null then
            changes := changes || format('drop constraint %I', wanted.name);
            insert into autosync.adopted (revision, step, object, undo) values (
                '0003', 50, 'constraint ' || wanted.name,
                format('alter table public.auto_sync_schedules add constraint %I %s', wanted.name, wanted.theirs));
        end if;
        changes := changes || format('add constraint %I %s', wanted.name, wanted.ours);
    end loop;
    drop table pg_temp.autosync_shape;
    execute 'alter table public.auto_sync_schedules ' || array_to_string(changes, ', ');
end
$complete$
