-- head_applied: autosync.alembic_version against the newest revision. The table may be missing, so its query is a text that runs only if it is there.
select 'critical' as status, 'schema autosync' as object,
    case
        when v.version_num is null and v.is_there then 'has its tables, and nothing says of which revision: autosync.alembic_version is empty or gone'
        when v.version_num is null then 'was never migrated'
        when v.rows > 1 then format('names %s revisions at once, the newest is %s', v.rows, v.version_num)
        when v.version_num > current_setting('autosync.head')
            then format('is at revision %s, but this version of autosync-db knows only up to %s', v.version_num, current_setting('autosync.head'))
        else format('is at revision %s, the newest is %s', v.version_num, current_setting('autosync.head'))
    end as detail,
    jsonb_build_object('revision', v.version_num, 'head', current_setting('autosync.head'), 'reason',
        case when v.version_num is null and v.is_there then 'forgotten' when v.rows > 1 then 'several' when v.version_num > current_setting('autosync.head') then 'newer' end) as facts
from (
    select max(f.version_num::text) as version_num, count(*) as rows,
        to_regclass('autosync.job') is not null and to_regclass('autosync.tick') is not null as is_there
    from unnest(case when to_regclass('autosync.alembic_version') is not null then
        xpath('/table/row/version_num/text()',
            query_to_xml('select version_num from autosync.alembic_version', false, false, ''))
    end) as f (version_num)
) as v
where v.rows > 1 or v.version_num is distinct from current_setting('autosync.head')
