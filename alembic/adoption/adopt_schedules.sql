-- adopt_schedules: keep who sees which schedules, and stop the trigger that goes away: it would move what is changed.
do $adopt$
declare
    -- what the settings file says, which migrate passes on, and what the policies say
    chosen constant jsonb := nullif(current_setting('autosync.isolation', true), '');
    mode constant text := current_setting('autosync.isolation_found')::jsonb #>> '{}';
    user_columns constant jsonb := nullif(current_setting('autosync.user_columns'), '');
    search_path_before constant text := current_setting('search_path');
    retired name;
begin
    if to_regclass('public.auto_sync_schedules') is null then
        return;
    end if;
    insert into autosync.setting (name, value)
    values ('isolation', coalesce(chosen, jsonb_build_object('mode', mode)))
    on conflict (name) do nothing;
    if found and chosen is null and mode = 'custom' then
        insert into autosync.setting (name, value) values ('isolation_undecided', 'true');
        raise warning 'public.auto_sync_schedules keeps its policies: choose [isolation] mode in autosync.toml';
    elsif found and chosen ->> 'mode' <> mode and mode <> 'none' then
        raise warning 'public.auto_sync_schedules loses its policies, which are like mode "%": the settings say "%"',
            mode, chosen ->> 'mode';
    end if;
    if mode <> 'none' and user_columns is not null then
        insert into autosync.setting (name, value) values ('user_columns', user_columns)
        on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp();
    end if;

    perform set_config('search_path', '', true);
    for retired in
        select r.name from jsonb_array_elements_text(current_setting('autosync.retired')::jsonb -> 'triggers') as r (name)
    loop
        insert into autosync.adopted (revision, step, object, undo)
        select '0003', 80, 'trigger ' || t.tgname, pg_get_triggerdef(t.oid) || format(
            '; alter table public.auto_sync_schedules %s trigger %I',
            case t.tgenabled
                when 'D' then 'disable' when 'R' then 'enable replica' when 'A' then 'enable always' else 'enable'
            end,
            t.tgname)
        from pg_catalog.pg_trigger as t
        where t.tgrelid = to_regclass('public.auto_sync_schedules') and t.tgname = retired;
        execute format('alter table public.auto_sync_schedules disable trigger %I', retired);
    end loop;
    perform set_config('search_path', search_path_before, true);
end
$adopt$
