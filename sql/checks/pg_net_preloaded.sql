-- pg_net_preloaded: the library is in shared_preload_libraries. Then its settings are in pg_settings, which shows them to members of
-- pg_read_all_settings; its worker, which everybody sees, proves it too. The local stack's stand-in has no library.
select
    case when e.oid is not null and pg_has_role('pg_read_all_settings', 'usage') then 'critical' else 'unknown' end as status,
    'library pg_net' as object,
    case
        when e.oid is null then 'the extension is not installed'
        when pg_has_role('pg_read_all_settings', 'usage') then 'is not in shared_preload_libraries, so there is no worker and every call raises an error'
        else format('its settings are hidden from this role; as a superuser: grant pg_monitor to %I', current_user)
    end as detail,
    jsonb_build_object('reason', case when e.oid is null or pg_has_role('pg_read_all_settings', 'usage') then 'missing' else 'hidden' end,
        'setting', 'shared_preload_libraries', 'library', 'pg_net') as facts
from (select) as always
left join pg_catalog.pg_extension as e on e.extname = 'pg_net'
where e.oid is null
    or coalesce(obj_description(e.oid, 'pg_extension'), '') not like 'stand-in%'
    and not exists (select from pg_catalog.pg_settings as s where s.name like 'pg\_net.%')
    and not exists (
        select from pg_catalog.pg_stat_activity as a
        where a.application_name like 'pg\_net %' or a.backend_type ilike '%pg_net%'
    )
