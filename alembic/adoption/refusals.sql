-- refusals: what keeps the revisions in autosync.adopting from adopting what is there, as [{"object", "detail"}].
do $refusals$
declare
    adopting constant text[] := string_to_array(current_setting('autosync.adopting'), ',');
    tables constant jsonb := current_setting('autosync.tables');
    found jsonb;
    refusals jsonb := '[]';
begin
    -- what lies in our schema before the first revision has run
    if '0001' = any(adopting) then
        select jsonb_agg(jsonb_build_object(
            'object', 'schema autosync', 'detail', format('holds %s, which is not of this package', c.relname)))
        into found
        from pg_catalog.pg_class as c
        where c.relnamespace = to_regnamespace('autosync') and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and c.relname <> 'alembic_version';
        refusals := refusals || coalesce(found, '[]');
    end if;

    select jsonb_agg(jsonb_build_object('object', t.name, 'detail', d.detail) order by t.revision, d.position)
    into found
    from jsonb_to_recordset(tables) as t (
        name text, revision text, key text, unique_columns jsonb, written_whole boolean, columns jsonb
    )
    join pg_catalog.pg_class as c on c.oid = to_regclass(t.name)
    cross join lateral (
        select 1 as position, 'is ' || case c.relkind
                when 'v' then 'a view' when 'm' then 'a materialized view' when 'f' then 'a foreign table'
                when 'p' then 'a partitioned table' else 'no table'
            end as detail
        where c.relkind <> 'r'
        union all
        select 2, format('belongs to the role %s, as which %s may not act', c.relowner::regrole, current_user)
        where not pg_has_role(c.relowner, 'usage')
        union all
        select 3, string_agg(
            case
                when a.attname is null then format('column %I is missing (%s)', e.name, e.type)
                when format_type(a.atttypid, a.atttypmod) <> e.type
                    then format('column %I is %s, not %s', e.name, format_type(a.atttypid, a.atttypmod), e.type)
                when a.attgenerated <> '' or a.attidentity <> '' then format('column %I is generated', e.name)
                else format('column %I may be null', e.name)
            end, '; ' order by e.position)
        from rows from (
            jsonb_to_recordset(t.columns) as (name text, type text, required boolean, filled boolean)
        ) with ordinality as e (name, type, required, filled, position)
        left join pg_catalog.pg_attribute as a
            on a.attrelid = c.oid and a.attname = e.name and a.attnum > 0 and not a.attisdropped
        where c.relkind = 'r'
            and (
                a.attname is null and e.required
                or format_type(a.atttypid, a.atttypmod) <> e.type
                or a.attgenerated <> ''
                or a.attidentity <> ''
                or e.filled and not a.attnotnull
            )
        having count(*) > 0
        union all
        select 4, format('has no %s on %s alone', case when k.is_key then 'primary key' else 'unique index' end, k.name)
        from (
            select t.key as name, true as is_key
            union all
            select u.name, false from jsonb_array_elements_text(t.unique_columns) as u (name)
        ) as k
        where c.relkind = 'r' and not exists (
            select from pg_catalog.pg_index as i
            join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
            where i.indrelid = c.oid and i.indisvalid and i.indimmediate and i.indnkeyatts = 1 and a.attname = k.name
                and case when k.is_key then i.indisprimary else i.indisunique and i.indpred is null end
        )
        union all
        select 5, format('column %I needs a value that nobody knows', a.attname)
        from pg_catalog.pg_attribute as a
        where t.written_whole and c.relkind = 'r' and a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and a.attnotnull and not a.atthasdef and a.attidentity = ''
            and not exists (
                select from jsonb_to_recordset(t.columns) as e (name text) where e.name = a.attname
            )
    ) as d
    where t.revision = any(adopting);
    refusals := refusals || coalesce(found, '[]');

    if '0003' = any(adopting) then
        -- functions of ours whose name and arguments another function has
        select jsonb_agg(jsonb_build_object(
            'object', 'function ' || f.signature, 'detail', 'exists already and is not of this package'))
        into found
        from (values
            ('public.auto_sync_claim(integer, interval)'),
            ('public.auto_sync_complete(uuid, text, jsonb, uuid)')
        ) as f (signature)
        where to_regprocedure(f.signature) is not null;
        refusals := refusals || coalesce(found, '[]');

        -- rows that no constraint of ours accepts and that cannot be changed without a guess; only a table that is
        -- right can be asked for its values
        if to_regclass('public.auto_sync_schedules') is not null
            and not refusals @> '[{"object": "public.auto_sync_schedules"}]'
        then
            select jsonb_agg(jsonb_build_object('object', 'public.auto_sync_schedules', 'detail', v.detail))
            into found
            from (
                select format('%s of %s rows has a value that is not known, e.g. %L in the row %s',
                    w.name, count(*), min(w.value), (array_agg(s.id order by s.id))[1]) as detail
                from public.auto_sync_schedules as s
                cross join lateral (
                    values
                        ('direction', s.direction, s.direction in ('import', 'export', 'bidirectional')),
                        ('conflict_resolution', s.conflict_resolution,
                            s.conflict_resolution in ('newest_wins', 'local_wins', 'remote_wins', 'manual')),
                        ('device_filter', s.device_filter, s.device_filter in ('all', 'tagged')),
                        ('last_run_status', s.last_run_status, s.last_run_status in ('success', 'partial', 'failed'))
                ) as w (name, value, fits)
                where (
                        s.direction not in ('import', 'export', 'bidirectional')
                        or s.conflict_resolution not in ('newest_wins', 'local_wins', 'remote_wins', 'manual')
                        or s.device_filter not in ('all', 'tagged')
                        or s.last_run_status not in ('success', 'partial', 'failed')
                    )
                    and not w.fits
                group by w.name
                union all
                select format('timezone of %s rows is no IANA name, e.g. %L in the row %s',
                    count(*), min(z.timezone), (array_agg(z.id order by z.id))[1])
                from (
                    select s.id, to_jsonb(s) ->> 'timezone' as timezone
                    from public.auto_sync_schedules as s
                    -- the column is ours, and seldom there before us
                    where exists (
                        select from pg_catalog.pg_attribute as a
                        where a.attrelid = to_regclass('public.auto_sync_schedules') and a.attname = 'timezone'
                            and not a.attisdropped
                    )
                ) as z
                where not exists (select from pg_catalog.pg_timezone_names as n where n.name = z.timezone)
                having count(*) > 0
            ) as v;
            refusals := refusals || coalesce(found, '[]');
        end if;
    end if;

    -- any job but the one that is taken over, if it makes the same calls; and that one if it is another role's
    if '0004' = any(adopting) and to_regclass('cron.job') is not null then
        with adopted as (
            select c.jobid,
                coalesce(substring(c.command from '/functions/v1/([A-Za-z0-9_-]+)'), 'auto-sync-cron') as function
            from cron.job as c
            where c.jobname = 'auto-sync-cron-job' and c.username = current_user
        )
        select jsonb_agg(jsonb_build_object(
            'object', format('cron job %s', coalesce(c.jobname, '(unnamed)')),
            'detail', case when c.jobname = 'auto-sync-cron-job'
                then format('job %s belongs to the role %s, not to %s', c.jobid, c.username, current_user)
                else format('job %s (%s, role %s) calls the same function: end it with: select cron.unschedule(%s)',
                    c.jobid, c.schedule, c.username, c.jobid)
            end))
        into found
        from cron.job as c
        where not exists (select from adopted as a where a.jobid = c.jobid)
            and c.database = current_database()
            and (
                c.jobname = 'auto-sync-cron-job'
                or c.command ~ ('/functions/v1/'
                    || coalesce((select a.function from adopted as a), 'auto-sync-cron') || '(?![A-Za-z0-9_-])')
            );
        refusals := refusals || coalesce(found, '[]');
    end if;
    perform set_config('autosync.refusals', refusals::text, true);
end
$refusals$
