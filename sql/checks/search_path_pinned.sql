-- search_path_pinned: a function that works with its owner's rights looks names up where its caller says, unless it pins search_path.
-- Types are looked up in the caller's temporary schema first, even with an empty path, unless pg_temp stands at the path's end.
with ours as (
    select p.oid, n.nspname, p.proname, p.prosecdef,
        exists (select from unnest(p.proconfig) as c (setting) where c.setting like 'search\_path=%') as pinned,
        exists (select from unnest(p.proconfig) as c (setting) where c.setting ~ '^search_path=(.*, *)?"?pg_temp"?$') as temporary_last
    from pg_catalog.pg_namespace as n
    join pg_catalog.pg_proc as p on p.pronamespace = n.oid
    where n.nspname = 'autosync'
        or n.nspname = 'public' and p.proname in ('auto_sync_claim', 'auto_sync_complete')
        or n.nspname not in ('cron', 'net', 'extensions', 'information_schema', 'pg_catalog')
            and p.prosecdef
            and p.prosrc ~* '\mpg_cron_secrets\M|\mautosync\.(dispatch|read_secret|sync_job)\M'
)
select case when o.prosecdef and not o.pinned then 'critical' else 'warning' end as status,
    format('function %s.%s', o.nspname, o.proname) as object,
    case
        when o.prosecdef and o.pinned then 'works with its owner''s rights, and the caller''s temporary types are found first'
        when o.prosecdef then 'works with its owner''s rights, and the caller decides where its names are looked up'
        else 'its caller decides where its names are looked up'
    end as detail,
    jsonb_build_object('function', format('%s.%s', o.nspname, o.proname), 'signature', o.oid::regprocedure::text) as facts
from ours as o
where not o.pinned or o.prosecdef and not o.temporary_last
union all
select 'unknown', 'schema autosync', 'does not exist', jsonb_build_object('reason', 'missing', 'schema', 'autosync')
where not exists (select from ours as o where o.nspname = 'autosync')
