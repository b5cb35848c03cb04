-- user_columns: which columns of the schedules signed-in users may write today besides those that they always may.
--
-- They are the project's own, and those of ours that are harmless: {"insert": [...], "update": [...]}, '' for none.
do $user_columns$
begin
    perform set_config('autosync.user_columns', coalesce((
        select jsonb_object_agg(f.privilege, f.columns)::text
        from (
            select w.privilege, jsonb_agg(a.attname order by a.attnum) as columns
            from pg_catalog.pg_attribute as a
            cross join (values ('insert'), ('update')) as w (privilege)
            join pg_catalog.pg_roles as r on r.rolname = 'authenticated'
            where a.attrelid = to_regclass('public.auto_sync_schedules') and a.attnum > 0 and not a.attisdropped
                and has_column_privilege(r.oid, a.attrelid, a.attnum, w.privilege)
                and not exists (
                    select
                    from jsonb_to_recordset(current_setting('autosync.tables')::jsonb) as t (name text, columns jsonb)
                    cross join lateral jsonb_to_recordset(t.columns) as c (
                        name text, settable boolean, reserved boolean
                    )
                    where t.name = 'public.auto_sync_schedules' and c.name = a.attname and (c.settable or c.reserved)
                )
            group by w.privilege
        ) as f
    ), ''), true);
end
$user_columns$
