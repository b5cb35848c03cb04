-- public.pg_cron_secrets: the owner writes, service_role reads, nobody else may even try.
-- requires: 0002
alter table public.pg_cron_secrets enable row level security;

-- the owner and service_role bypass row level security; a stray grant to anybody else still shows no row
do $$
declare
    stale name;
begin
    for stale in select p.policyname from pg_catalog.pg_policies as p
        where p.schemaname = 'public' and p.tablename = 'pg_cron_secrets'
    loop
        execute pg_catalog.format('drop policy %I on public.pg_cron_secrets', stale);
    end loop;
end
$$;

create policy pg_cron_secrets_nobody on public.pg_cron_secrets
    as permissive
    for all
    to public
    using (false)
    with check (false);

revoke all on table public.pg_cron_secrets from public;

-- a plain Postgres has none of Supabase's roles
do $$
declare
    api_role name;
begin
    for api_role in select r.rolname from pg_catalog.pg_roles as r
        where r.rolname in ('anon', 'authenticated', 'service_role')
    loop
        execute pg_catalog.format('revoke all on table public.pg_cron_secrets from %I', api_role);
    end loop;
    if to_regrole('service_role') is not null then
        grant select on table public.pg_cron_secrets to service_role;
    end if;
end
$$;
