-- public.auto_sync_schedules: isolation mode none: service_role alone works with it.
-- requires: 0003
alter table public.auto_sync_schedules enable row level security;

-- the owner and service_role bypass row level security; a stray grant to anybody else still shows no row
do $$
declare
    stale name;
begin
    for stale in select p.policyname from pg_catalog.pg_policies as p
        where p.schemaname = 'public' and p.tablename = 'auto_sync_schedules'
    loop
        execute pg_catalog.format('drop policy %I on public.auto_sync_schedules', stale);
    end loop;
end
$$;

create policy auto_sync_schedules_nobody on public.auto_sync_schedules
    as permissive
    for all
    to public
    using (false)
    with check (false);

revoke all on table public.auto_sync_schedules from public;

-- a plain Postgres has none of Supabase's roles
do $$
declare
    api_role name;
begin
    for api_role in select r.rolname from pg_catalog.pg_roles as r
        where r.rolname in ('anon', 'authenticated', 'service_role')
    loop
        execute pg_catalog.format('revoke all on table public.auto_sync_schedules from %I', api_role);
    end loop;
    if to_regrole('service_role') is not null then
        grant select, insert, update, delete on table public.auto_sync_schedules to service_role;
    end if;
end
$$;
