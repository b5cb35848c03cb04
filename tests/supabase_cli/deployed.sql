-- A project as the guide's reader made it by hand: tables, trigger, policies, open grants and the job with its whole call.
create table public.organizations (id uuid primary key);
create table public.users (id uuid primary key, organization_id uuid references public.organizations (id));
create table public.device_integrations (id uuid primary key, user_id uuid);

create table public.pg_cron_secrets (
    name text primary key,
    secret text not null,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
alter table public.pg_cron_secrets enable row level security;
create policy "service role only" on public.pg_cron_secrets to service_role using (true);
grant all on public.pg_cron_secrets to anon, authenticated, service_role;

create table public.auto_sync_schedules (
    id uuid primary key default gen_random_uuid(),
    integration_id uuid not null unique references public.device_integrations (id) on delete cascade,
    organization_id uuid not null references public.organizations (id) on delete cascade,
    enabled boolean not null default false,
    frequency_minutes integer not null default 15,
    direction text not null default 'bidirectional' check (direction in ('import', 'export', 'bidirectional')),
    conflict_resolution text not null default 'newest_wins'
        check (conflict_resolution in ('newest_wins', 'local_wins', 'remote_wins', 'manual')),
    only_online boolean not null default true,
    time_window_enabled boolean not null default false,
    time_window_start time,
    time_window_end time,
    device_filter text not null default 'all' check (device_filter in ('all', 'tagged')),
    device_tags text[],
    last_run_at timestamptz,
    last_run_status text check (last_run_status in ('success', 'partial', 'failed')),
    last_run_summary jsonb,
    next_run_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    created_by uuid,
    updated_by uuid,
    constraint valid_time_window check (
        not time_window_enabled or (time_window_start is not null and time_window_end is not null)
    )
);
create index idx_auto_sync_schedules_integration_id on public.auto_sync_schedules (integration_id);
create index idx_auto_sync_schedules_organization_id on public.auto_sync_schedules (organization_id);
create index idx_auto_sync_schedules_enabled on public.auto_sync_schedules (enabled);
create index idx_auto_sync_schedules_next_run on public.auto_sync_schedules (next_run_at) where enabled;
create function public.calculate_next_run(integer, boolean, time, time) returns timestamptz
language sql as 'select now() + make_interval(mins => $1)';
create function public.update_auto_sync_next_run() returns trigger language plpgsql as $$
begin
    new.next_run_at := case when new.enabled then public.calculate_next_run(new.frequency_minutes, false, null, null) end;
    return new;
end
$$;
create trigger trigger_update_auto_sync_next_run before insert or update on public.auto_sync_schedules
for each row execute function public.update_auto_sync_next_run();
alter table public.auto_sync_schedules enable row level security;
create policy "members read" on public.auto_sync_schedules for select
using (organization_id in (select u.organization_id from public.users as u where u.id = auth.uid()));
create policy "members write" on public.auto_sync_schedules
using (organization_id in (select u.organization_id from public.users as u where u.id = auth.uid()));
grant select, insert, update, delete on public.auto_sync_schedules to authenticated;

insert into public.organizations values ('00000000-0000-4000-8000-000000000001');
insert into public.device_integrations (id)
select ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid from generate_series(1, 20) as n;
insert into public.auto_sync_schedules (id, integration_id, organization_id, enabled, frequency_minutes, last_run_at)
select ('00000000-0000-4000-a000-' || lpad(n::text, 12, '0'))::uuid,
    ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid,
    '00000000-0000-4000-8000-000000000001', n % 2 = 0, n * 5, '2026-01-01 00:00:00+00'
from generate_series(1, 20) as n;
insert into public.pg_cron_secrets values ('project_url', 'https://example.invalid');

create extension pg_cron with schema pg_catalog;
create extension pg_net with schema extensions;
select cron.schedule('auto-sync-cron-job', '*/5 * * * *', $job$
    select net.http_post(
        url := (select secret from public.pg_cron_secrets where name = 'project_url') || '/functions/v1/auto-sync-cron',
        headers := jsonb_build_object(
            'Authorization',
            'Bearer ' || (select secret from public.pg_cron_secrets where name = 'service_role_key')
        ),
        body := '{}'::jsonb
    )
$job$);
