-- public.auto_sync_schedules: with the isolation mode "custom" its policies and grants are the project's own, and
-- belong into a file of its own.
alter table public.auto_sync_schedules enable row level security;

grant select, insert, update, delete on table public.auto_sync_schedules to service_role;
