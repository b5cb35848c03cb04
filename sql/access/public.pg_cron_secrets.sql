-- public.pg_cron_secrets: the owner writes, service_role reads, nobody else may even try.
-- requires: 0002
alter table public.pg_cron_secrets enable row level security;

-- the owner and service_role bypass row level security; a stray grant to anybody else still shows no row
do $$
declare
    stale record;
begin
    for stale in
        select p.policyname as name,
            p.policyname = 'pg_cron_secrets_nobody' or exists (
                select from autosync.adopted as a where a.revision = '0002' and a.object = 'policy ' || p.policyname
            ) as can_be_made_again,
            pg_catalog.format('create policy %I on public.pg_cron_secrets for %s to %s%s%s', p.policyname, p.cmd,
                (
                    select pg_catalog.string_agg(
                        case r.role_name when 'public' then 'public' else pg_catalog.quote_ident(r.role_name) end, ', ')
                    from pg_catalog.unnest(p.roles) as r (role_name)
                ),
                ' using (' || p.qual || ')', ' with check (' || p.with_check || ')') as statement
        from pg_catalog.pg_policies as p
        where p.schemaname = 'public' and p.tablename = 'pg_cron_secrets'
            -- a restrictive one lets nobody in, and stays
            and (p.policyname = 'pg_cron_secrets_nobody' or p.permissive = 'PERMISSIVE')
    loop
        if not stale.can_be_made_again then
            raise warning 'the policy % of public.pg_cron_secrets is dropped: only the owner and service_role read the secrets; '
                'it was made by: %;', stale.name, stale.statement;
        end if;
        execute pg_catalog.format('drop policy %I on public.pg_cron_secrets', stale.name);
    end loop;
end
$$;

create policy pg_cron_secrets_nobody on public.pg_cron_secrets
    as permissive
    for all
    to public
    using (false)
    with check (false);

-- whoever was granted anything, the table or a column of it, loses it
do $$
declare
    grantee text;
begin
    for grantee in
        select case when a.grantee = 0 then 'public' else cast(cast(a.grantee as regrole) as text) end
        from pg_catalog.pg_class as c
        cross join lateral (
            select e.grantee from pg_catalog.aclexplode(c.relacl) as e
            union
            select e.grantee
            from pg_catalog.pg_attribute as t
            cross join lateral pg_catalog.aclexplode(t.attacl) as e
            where t.attrelid = c.oid
        ) as a
        where c.oid = cast('public.pg_cron_secrets' as regclass) and a.grantee <> c.relowner
    loop
        -- the server itself quoted the name
        execute pg_catalog.format('revoke all on table public.pg_cron_secrets from %s', grantee);
    end loop;
    -- a plain Postgres has none of Supabase's roles
    if to_regrole('service_role') is not null then
        grant select on table public.pg_cron_secrets to service_role;
    end if;
end
$$;
