-- A project as it was set up by handwritten migrations, with an application around it and rows of every kind.
create extension if not exists pg_cron with schema pg_catalog;
create extension if not exists pg_net with schema extensions;

create table public.organizations (id uuid primary key default gen_random_uuid(), name text not null);
create table public.users (
    id uuid primary key references auth.users (id) on delete cascade,
    organization_id uuid not null references public.organizations (id)
);
create table public.device_integrations (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    name text not null default 'a device'
);
alter table public.users enable row level security;
create policy "Users can read themselves" on public.users for select using (id = auth.uid());
grant select on public.users, public.organizations, public.device_integrations to authenticated, service_role;

create table public.pg_cron_secrets (
    name text primary key,
    secret text not null,
    created_at timestamptz default now(),
    updated_at timestamptz default now()
);
alter table public.pg_cron_secrets enable row level security;

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
    created_by uuid references auth.users (id),
    updated_by uuid references auth.users (id),
    constraint valid_time_window check (
        time_window_enabled = false or (time_window_start is not null and time_window_end is not null)
    )
);
comment on table public.auto_sync_schedules is 'When which device is synced';
create index idx_auto_sync_schedules_integration_id on public.auto_sync_schedules (integration_id);
create index idx_auto_sync_schedules_organization_id on public.auto_sync_schedules (organization_id);
create index idx_auto_sync_schedules_enabled on public.auto_sync_schedules (enabled) where enabled = true;
create index idx_auto_sync_schedules_next_run on public.auto_sync_schedules (next_run_at) where enabled = true;

create function public.calculate_next_run(
    frequency_minutes integer, window_enabled boolean, window_start time, window_end time
) returns timestamptz language plpgsql as $$
declare
    candidate timestamptz := now() + make_interval(mins => frequency_minutes);
begin
    if window_enabled and window_start < window_end then
        if candidate::time < window_start then
            candidate := date_trunc('day', candidate) + window_start;
        elsif candidate::time > window_end then
            candidate := date_trunc('day', candidate) + interval '1 day' + window_start;
        end if;
    end if;
    return candidate;
end
$$;
create function public.update_auto_sync_next_run() returns trigger language plpgsql as $$
begin
    if new.enabled then
        new.next_run_at := public.calculate_next_run(
            new.frequency_minutes, new.time_window_enabled, new.time_window_start, new.time_window_end);
    end if;
    new.updated_at := now();
    return new;
end
$$;

alter table public.auto_sync_schedules enable row level security;
create policy "Users can view their organization's schedules" on public.auto_sync_schedules for select using (
    organization_id in (select organization_id from public.users where id = auth.uid())
);
create policy "Users can manage their organization's schedules" on public.auto_sync_schedules for all using (
    organization_id in (select users.organization_id from public.users where users.id = auth.uid())
);
grant all on public.auto_sync_schedules to authenticated;

insert into auth.users (id) select ('00000000-0000-4000-8000-00000000a00' || n)::uuid from generate_series(1, 2) as n;
insert into public.organizations (id, name)
select ('00000000-0000-4000-8000-00000000b00' || n)::uuid, 'organization ' || n from generate_series(1, 2) as n;
insert into public.users (id, organization_id)
select ('00000000-0000-4000-8000-00000000a00' || n)::uuid, ('00000000-0000-4000-8000-00000000b00' || n)::uuid
from generate_series(1, 2) as n;
-- the last one has no schedule yet
insert into public.device_integrations (id, organization_id)
select ('00000000-0000-4000-8000-00000000c0' || to_char(n, 'FM00'))::uuid,
    ('00000000-0000-4000-8000-00000000b00' || case when n in (2, 13) then 2 else 1 end)::uuid
from generate_series(1, 14) as n;

-- what the trigger, other writers and time have left behind; the first column is the number of the row
insert into public.auto_sync_schedules (
    id, integration_id, organization_id, enabled, frequency_minutes, time_window_enabled, time_window_start,
    time_window_end, device_filter, device_tags, last_run_at, last_run_status, last_run_summary, next_run_at,
    created_at, updated_at, created_by, updated_by
)
select ('00000000-0000-4000-8000-00000000d0' || to_char(s.number, 'FM00'))::uuid, i.id, i.organization_id, s.enabled,
    s.frequency, s.windowed, s.opens, s.closes, case when s.tags is null then 'all' else 'tagged' end, s.tags,
    now() - s.ran, s.status, s.summary::jsonb, now() + s.due, now() - interval '90 days', now() - interval '3 days',
    case when s.number % 2 = 0 then '00000000-0000-4000-8000-00000000a001'::uuid end, null
from (values
    -- due in a while
    (1, true, 60, false, null::time, null::time, null::text[], interval '5 min', 'success',
        '{"synced": 3, "created": 1, "updated": 2, "skipped": 0, "errors": 0}', interval '55 min'),
    -- overdue for two days
    (2, true, 60, false, null, null, null, interval '49 hours', 'failed',
        '{"synced": 0, "created": 0, "updated": 0, "skipped": 0, "errors": 4}', interval '-48 hours'),
    -- switched off, with the next run that the trigger left
    (3, false, 15, false, null, null, null, interval '30 days', 'success', '{"synced": 1}', interval '-30 days'),
    -- switched off, never run
    (4, false, 30, false, null, null, null, null, null, null, null),
    -- in a window, over midnight too
    (5, true, 240, true, '09:00', '17:00', array['a', 'b c'], interval '1 hour', 'partial', '{"errors": 1}', interval '3 hours'),
    (6, true, 240, true, '22:00', '06:00', null, interval '1 hour', 'success', '{"errors": 0}', interval '3 hours'),
    -- a lone bound of a window that is off
    (7, true, 180, false, '08:00', null, null, interval '1 hour', 'success', null, interval '2 hours'),
    -- enabled past the trigger: it never ran, and nothing would ever run it
    (8, true, 15, false, null, null, null, null, null, null, null),
    (9, true, 120, false, null, null, null, interval '10 min', 'success', null, null),
    -- values that we do not let in
    (10, true, 0, false, null, null, null, interval '1 hour', 'success', null, interval '-5 min'),
    (11, true, 100000, false, null, null, null, interval '1 hour', 'success', null, interval '60 days'),
    (12, true, 180, true, '12:00', '12:00', null, interval '1 hour', 'success', null, interval '2 hours'),
    (13, true, 241, false, null, null, null, interval '1 min', 'success', '{"synced": 0, "extra": {"kept": [1, 2]}}', interval '4 hours')
) as s (number, enabled, frequency, windowed, opens, closes, tags, ran, status, summary, due)
join public.device_integrations as i
    on i.id = ('00000000-0000-4000-8000-00000000c0' || to_char(s.number, 'FM00'))::uuid;

create trigger trigger_update_auto_sync_next_run before insert or update on public.auto_sync_schedules
for each row execute function public.update_auto_sync_next_run();

select cron.schedule('auto-sync-cron-job', '*/5 * * * *', $job$
    select net.http_post(
        url := (select secret from public.pg_cron_secrets where name = 'project_url') || '/functions/v1/auto-sync-cron',
        headers := jsonb_build_object(
            'Content-Type', 'application/json',
            'Authorization', 'Bearer ' || (select secret from public.pg_cron_secrets where name = 'service_role_key')
        ),
        body := jsonb_build_object('timestamp', now())
    ) as request_id;
$job$);
