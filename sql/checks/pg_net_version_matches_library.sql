-- pg_net_version_matches_library: since 0.19 the worker sleeps until net.wake(), which the SQL of older versions never calls.
-- The library's version is in the worker's name, since 0.14; other differences do no harm.
with version as (
    select e.extversion as sql_text, string_to_array(e.extversion, '.')::integer[] as of_sql,
        w.text as library_text, string_to_array(w.text, '.')::integer[] as of_library
    from pg_catalog.pg_extension as e
    cross join lateral (
        select substring(a.application_name from '^pg_net (\d+(?:\.\d+)*)') as text
        from pg_catalog.pg_stat_activity as a
        where a.application_name ~ '^pg_net \d'
        limit 1
    ) as w
    where e.extname = 'pg_net' and e.extversion ~ '^\d+(\.\d+)*$'
)
select case when (v.of_sql >= array[0, 19]) = (v.of_library >= array[0, 19]) then 'ok' else 'critical' end as status,
    'extension pg_net' as object,
    case
        when (v.of_sql >= array[0, 19]) = (v.of_library >= array[0, 19])
            then format('is at version %s, its library at %s', v.sql_text, v.library_text)
        when v.of_sql >= array[0, 19]
            then format('is at version %s, but its library only at %s, which lacks what it calls', v.sql_text, v.library_text)
        else format('is at version %s, but its library at %s waits for a call of net.wake() that only 0.19 and later make', v.sql_text, v.library_text)
    end as detail,
    jsonb_build_object('extension', 'pg_net', 'version', v.sql_text, 'library_version', v.library_text,
        'older', case when v.of_sql < v.of_library then 'extension' else 'library' end) as facts
from version as v
where v.of_sql <> v.of_library
union all
select 'unknown', 'extension pg_net',
    case when exists (select from pg_catalog.pg_extension as e where e.extname = 'pg_net')
        then 'no worker is connected that shows the version of its library'
        else 'is not installed'
    end,
    jsonb_build_object('reason', 'missing', 'extension', 'pg_net')
where not exists (select from version)
