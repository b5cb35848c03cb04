-- contents: what there is in the schema autosync, and of ours in public: tables, views, sequences, types and functions.
select n.nspname as schema, 'function' as kind, p.proname as name, cast(cast(p.oid as regprocedure) as text) as shown
from pg_catalog.pg_proc as p
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where n.nspname = 'autosync'
    or (n.nspname = 'public' and p.proname in ('auto_sync_claim', 'auto_sync_complete', 'auto_sync_report'))
union all
select n.nspname, case c.relkind when 'r' then 'table' when 'p' then 'table' when 'f' then 'table'
        when 'S' then 'sequence' when 'c' then 'type' else 'view' end,
    c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = 'autosync' and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S', 'c')
    -- a sequence of an identity column goes with its table
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = cast('pg_catalog.pg_class' as regclass) and d.objid = c.oid and d.deptype in ('a', 'i')
            and d.refclassid = cast('pg_catalog.pg_class' as regclass)
    )
union all
select n.nspname, 'type', t.typname, pg_catalog.format('%I.%I', n.nspname, t.typname)
from pg_catalog.pg_type as t
join pg_catalog.pg_namespace as n on n.oid = t.typnamespace
where n.nspname = 'autosync' and t.typtype in ('d', 'e', 'r')
order by 1, 2, 4
