-- public.auto_sync_schedules: who sees and writes which schedules, by the isolation mode that the project has chosen.
-- requires: 0003
-- The choice is autosync.setting's row 'isolation'; a database where nobody chose one has the mode "none".
alter table public.auto_sync_schedules enable row level security;

-- one permissive policy, ours: several would widen each other
do $$
declare
    chosen constant jsonb := '{
        "mode": "none",
        "integration_table": "public.device_integrations",
        "integration_id_column": "id",
        "integration_organization_column": "organization_id",
        "owner_column": "user_id",
        "membership_table": "public.users",
        "membership_user_column": "id",
        "membership_organization_column": "organization_id"
    }' || coalesce((select s.value from autosync.setting as s where s.name = 'isolation'), '{}');
    mode constant text := chosen ->> 'mode';
    -- the setting that names the table which the policy reads, and those that name its columns
    table_setting constant text := case mode when 'owner' then 'integration_table' else 'membership_table' end;
    column_settings constant text[] := case mode
        when 'owner' then array['integration_id_column', 'owner_column']
        else array['membership_organization_column', 'membership_user_column']
    end;
    source constant text := pg_catalog.format('%I.%I', pg_catalog.split_part(chosen ->> table_setting, '.', 1),
        pg_catalog.split_part(chosen ->> table_setting, '.', 2));
    integrations constant text := pg_catalog.format('%I.%I',
        pg_catalog.split_part(chosen ->> 'integration_table', '.', 1),
        pg_catalog.split_part(chosen ->> 'integration_table', '.', 2));
    ours constant name[] := array[
        'auto_sync_schedules_nobody', 'auto_sync_schedules_owner', 'auto_sync_schedules_organization'
    ];
    stale record;
    missing text;
    condition text;
    written text;
begin
    for stale in
        select p.policyname as name,
            p.policyname = any(ours) or exists (
                select from autosync.adopted as a where a.revision = '0003' and a.object = 'policy ' || p.policyname
            ) as can_be_made_again,
            pg_catalog.format('create policy %I on public.auto_sync_schedules for %s to %s%s%s', p.policyname, p.cmd,
                (
                    select pg_catalog.string_agg(
                        case r.role_name when 'public' then 'public' else pg_catalog.quote_ident(r.role_name) end, ', ')
                    from pg_catalog.unnest(p.roles) as r (role_name)
                ),
                ' using (' || p.qual || ')', ' with check (' || p.with_check || ')') as statement
        from pg_catalog.pg_policies as p
        where p.schemaname = 'public' and p.tablename = 'auto_sync_schedules'
            -- in the mode "custom" the project's own policies decide, and ours would widen them; a restrictive one lets
            -- nobody in, and stays
            and (p.policyname = any(ours) or (mode <> 'custom' and p.permissive = 'PERMISSIVE'))
    loop
        if not stale.can_be_made_again then
            raise warning 'the policy % of public.auto_sync_schedules is dropped: in the mode "%" nobody but ours lets users in; '
                'to have it again, choose mode = "custom" under [isolation] in autosync.toml, then migrate after: %;',
                stale.name, mode, stale.statement;
        end if;
        execute pg_catalog.format('drop policy %I on public.auto_sync_schedules', stale.name);
    end loop;

    if mode in ('none', 'custom') then
        -- the owner and service_role bypass row level security; a stray grant to anybody else still shows no row
        if not exists (
            select from pg_catalog.pg_policies as p
            where p.schemaname = 'public' and p.tablename = 'auto_sync_schedules'
                and (mode = 'custom' or p.permissive = 'PERMISSIVE')
        ) then
            create policy auto_sync_schedules_nobody on public.auto_sync_schedules
                as permissive
                for all
                to public
                using (false)
                with check (false);
        end if;
        return;
    end if;

    -- what the policy reads must be there: a message that names the setting is worth more than that of `create policy`
    if to_regprocedure('auth.uid()') is null or to_regrole('authenticated') is null then
        raise exception '[isolation] mode "%" needs auth.uid() and the role authenticated, which this database lacks', mode
            using errcode = 'undefined_object', hint = 'write mode = "none" under [isolation] in autosync.toml';
    end if;
    if to_regclass(source) is null then
        raise exception '[isolation] % is %, which does not exist', table_setting, chosen ->> table_setting
            using errcode = 'undefined_table', hint = pg_catalog.format(
                'create the table first, or correct %s under [isolation] in autosync.toml', table_setting);
    end if;
    select pg_catalog.format(
            case when a.attname is null then '[isolation] %1$s is %2$s, a column that %3$s does not have'
                else '[isolation] %1$s is %2$s, a column of %3$s whose type is not uuid' end,
            w.setting, chosen ->> w.setting, chosen ->> table_setting)
        into missing
    from pg_catalog.unnest(column_settings) as w (setting)
    left join pg_catalog.pg_attribute as a
        on a.attrelid = to_regclass(source)
        and a.attname = chosen ->> w.setting and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_type as t on t.oid = a.atttypid
    where a.attname is null or 'uuid'::pg_catalog.regtype not in (t.oid, t.typbasetype)
    order by w.setting
    limit 1;
    if missing is not null then
        raise exception '%', missing
            using errcode = 'undefined_column', hint = 'correct [isolation] in autosync.toml, or the table, and migrate again';
    end if;

    -- auth.uid() in a subquery is called once per statement, not once per row
    condition := pg_catalog.format('%I in (select s.%I from %s as s where s.%I = (select auth.uid()))',
        case mode when 'owner' then 'integration_id' else 'organization_id' end,
        chosen ->> column_settings[1], source, chosen ->> column_settings[2]);
    written := condition;
    -- whoever may write for an organization may write for its own integrations only, where the table of the integrations
    -- says whose they are; the check integrations_tied_to_organizations names a project where nothing does
    if mode = 'organization' and (
        select count(*) = 2
        from pg_catalog.pg_attribute as a
        where a.attrelid = to_regclass(integrations) and not a.attisdropped and a.atttypid = 'uuid'::pg_catalog.regtype
            and a.attname in (chosen ->> 'integration_id_column', chosen ->> 'integration_organization_column')
            -- else the policy could not read it
            and pg_catalog.has_column_privilege('authenticated', a.attrelid, a.attnum, 'select')
    ) then
        -- qualified, for the table of the integrations may have columns of the same names
        written := written || pg_catalog.format(
            ' and exists (select from %s as i where i.%I = auto_sync_schedules.integration_id'
            ' and i.%I = auto_sync_schedules.organization_id)',
            integrations, chosen ->> 'integration_id_column', chosen ->> 'integration_organization_column');
    end if;
    execute pg_catalog.format(
        'create policy %I on public.auto_sync_schedules as permissive for all to authenticated'
        ' using (%s) with check (%s)',
        'auto_sync_schedules_' || mode, condition, written);
end
$$;

-- a plain Postgres has none of Supabase's roles
do $$
declare
    mode constant text := coalesce(
        (select s.value ->> 'mode' from autosync.setting as s where s.name = 'isolation'), 'none');
    -- what API users may write
    settable constant text := 'integration_id, organization_id, enabled, frequency_minutes, direction, '
        'conflict_resolution, only_online, time_window_enabled, time_window_start, time_window_end, timezone, '
        'device_filter, device_tags, created_by, updated_by';
    -- what runs did, when the next one is due and who works on it belong to the trigger and the function alone
    reserved constant name[] := array[
        'last_run_at', 'last_run_status', 'last_run_summary', 'next_run_at', 'claim_id', 'claimed_at',
        'claim_expires_at', 'claims_since_run', 'claim_retry_at', 'completed_claim_id', 'consecutive_failures'
    ];
    api_role name;
    statement text;
    granted text[] := array[]::text[];
begin
    if mode in ('owner', 'organization') then
        granted := array[
            'grant select, delete on table public.auto_sync_schedules to authenticated',
            pg_catalog.format('grant insert (%s) on table public.auto_sync_schedules to authenticated', settable),
            pg_catalog.format('grant update (%s) on table public.auto_sync_schedules to authenticated', settable)
        ] || array(
            -- what signed-in users wrote in the table that was there before us: columns of the project's own, and
            -- harmless ones of ours
            select pg_catalog.format('grant %s (%s) on table public.auto_sync_schedules to authenticated',
                e.key, pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum))
            from autosync.setting as s
            cross join lateral pg_catalog.jsonb_each(s.value) as e
            join pg_catalog.pg_attribute as a
                on a.attrelid = to_regclass('public.auto_sync_schedules') and not a.attisdropped
                and e.value ? cast(a.attname as text)
            where s.name = 'user_columns' and a.attname <> all(reserved)
            group by e.key
        );
    elsif mode = 'custom' and to_regrole('authenticated') is not null then
        -- signed-in users keep what they were granted, column by column, but for what is reserved
        granted := array(
            select pg_catalog.format('grant %s on table public.auto_sync_schedules to authenticated', w.privilege)
            from pg_catalog.unnest(array['select', 'delete']) as w (privilege)
            where pg_catalog.has_table_privilege('authenticated', 'public.auto_sync_schedules', w.privilege)
        ) || array(
            select pg_catalog.format('grant %s (%s) on table public.auto_sync_schedules to authenticated',
                w.privilege, pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum))
            from pg_catalog.unnest(array['select', 'insert', 'update']) as w (privilege)
            join pg_catalog.pg_attribute as a
                on a.attrelid = to_regclass('public.auto_sync_schedules') and a.attnum > 0 and not a.attisdropped
            where pg_catalog.has_column_privilege('authenticated', a.attrelid, a.attnum, w.privilege)
                and (w.privilege = 'select' or a.attname <> all(reserved))
                and not (w.privilege = 'select'
                    and pg_catalog.has_table_privilege('authenticated', a.attrelid, w.privilege))
            group by w.privilege
        );
    end if;

    revoke all on table public.auto_sync_schedules from public;
    for api_role in select r.rolname from pg_catalog.pg_roles as r
        where r.rolname in ('anon', 'authenticated', 'service_role')
    loop
        execute pg_catalog.format('revoke all on table public.auto_sync_schedules from %I', api_role);
    end loop;
    if to_regrole('service_role') is not null then
        grant select, insert, update, delete on table public.auto_sync_schedules to service_role;
    end if;
    foreach statement in array granted loop
        execute statement;
    end loop;
end
$$;
