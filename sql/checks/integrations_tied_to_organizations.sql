-- integrations_tied_to_organizations: in mode organization, our policy asks whose the integration is, or a foreign key of both ids does.
-- Without either a user takes the integration of another organization, whose own schedule is then refused: there is one each.
select 'warning' as status, 'table public.auto_sync_schedules' as object,
    'a user may schedule the integration of another organization: neither the policy nor a foreign key ties the two' as detail,
    jsonb_build_object('table', 'public.auto_sync_schedules', 'integrations',
        t.name, 'reason', case when t.readable < 2 then 'unreadable' end) as facts
from autosync.setting as s
cross join lateral (
    select i.name, (
            select count(*)
            from pg_catalog.pg_attribute as a
            join pg_catalog.pg_roles as r on r.rolname = 'authenticated'
            where a.attrelid = to_regclass(i.name)
                and not a.attisdropped
                and a.atttypid = 'uuid'::regtype
                and a.attname in (coalesce(s.value ->> 'integration_id_column', 'id'),
                    coalesce(s.value ->> 'integration_organization_column', 'organization_id'))
                -- the policy reads it as whoever writes
                and has_column_privilege(r.oid, a.attrelid, a.attnum, 'select')
        ) as readable
    from (select coalesce(s.value ->> 'integration_table', 'public.device_integrations') as name) as i
) as t
where s.name = 'isolation'
    and s.value ->> 'mode' = 'organization'
    and not exists (
        select from pg_catalog.pg_policies as p
        where p.schemaname = 'public'
            and p.tablename = 'auto_sync_schedules'
            and p.policyname = 'auto_sync_schedules_organization'
            and coalesce(p.with_check, p.qual) like '%integration_id%'
    )
    and not exists (
        select from pg_catalog.pg_constraint as k
        where k.conrelid = to_regclass('public.auto_sync_schedules')
            and k.contype = 'f'
            and (
                select count(*) = 2
                from pg_catalog.pg_attribute as a
                where a.attrelid = k.conrelid and a.attnum = any (k.conkey) and a.attname in ('integration_id', 'organization_id')
            )
    )
