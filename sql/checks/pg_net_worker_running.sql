-- pg_net_worker_running: pg_net's worker is connected. Before 0.14 it had no application_name, and its backend_type is hidden from most roles.
select
    case when pg_has_role('pg_read_all_stats', 'usage') or string_to_array(e.extversion, '.')::integer[] >= array[0, 14]
        then 'critical'
        else 'unknown'
    end as status,
    'pg_net worker' as object,
    case when pg_has_role('pg_read_all_stats', 'usage') or string_to_array(e.extversion, '.')::integer[] >= array[0, 14]
        then 'no such process is connected, so requests are queued and never sent'
        else 'this version of pg_net shows its worker only to members of pg_read_all_stats'
    end as detail,
    jsonb_build_object('extension', 'pg_net', 'reason', case
        when pg_has_role('pg_read_all_stats', 'usage') or string_to_array(e.extversion, '.')::integer[] >= array[0, 14] then 'missing'
        else 'hidden'
    end) as facts
from (select) as always
left join pg_catalog.pg_extension as e on e.extname = 'pg_net' and e.extversion ~ '^\d+(\.\d+)*$'
where not exists (
    select from pg_catalog.pg_stat_activity as a
    where a.application_name like 'pg\_net %' or a.backend_type ilike '%pg_net%'
)
