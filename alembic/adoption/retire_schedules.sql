-- retire_schedules: drop what retired.sql found if nothing else uses it, and remember it.
do $retire$
declare
    search_path_before constant text := current_setting('search_path');
    retired constant jsonb := current_setting('autosync.retired');
    wanted record;
    users text;
begin
    if not exists (select from autosync.adopted as a where a.revision = '0003') then
        return;
    end if;
    perform set_config('search_path', '', true);
    for wanted in select r.name from jsonb_array_elements_text(retired -> 'triggers') as r (name) loop
        execute format('drop trigger %I on public.auto_sync_schedules', wanted.name);
    end loop;

    for wanted in select r.name from jsonb_array_elements_text(retired -> 'indexes') as r (name) loop
        insert into autosync.adopted (revision, step, object, undo)
        values ('0003', 60, 'index ' || wanted.name, pg_get_indexdef(to_regclass(format('public.%I', wanted.name))));
        execute format('drop index public.%I', wanted.name);
    end loop;

    for wanted in
        select r.name, r.users, to_regprocedure(r.name) as oid
        from jsonb_to_recordset(retired -> 'functions') as r (name text, users text)
    loop
        users := wanted.users;
        if users is null then
            begin
                insert into autosync.adopted (revision, step, object, undo)
                select '0003', 70, 'function ' || wanted.name, concat_ws('; ',
                    pg_get_functiondef(wanted.oid),
                    format('revoke all on function %s from public', wanted.name),
                    (
                        select string_agg(format('revoke all on function %s from %I', wanted.name, r.rolname), '; ')
                        from pg_catalog.pg_roles as r
                        where r.rolname in ('anon', 'authenticated', 'service_role')
                    ),
                    (
                        select string_agg(format('grant execute on function %s to %s', wanted.name,
                            case when e.grantee = 0 then 'public' else quote_ident(r.rolname) end), '; ')
                        from pg_catalog.aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as e
                        left join pg_catalog.pg_roles as r on r.oid = e.grantee
                    ))
                from pg_catalog.pg_proc as p
                where p.oid = wanted.oid;
                execute format('drop function %s', wanted.name);
            exception
                when dependent_objects_still_exist then users := 'something in this database';
                when insufficient_privilege then users := 'another role';
            end;
        end if;
        if users is not null then
            raise warning 'the function % stays, because % uses or owns it', wanted.name, users;
        end if;
    end loop;
    perform set_config('search_path', search_path_before, true);
end
$retire$
