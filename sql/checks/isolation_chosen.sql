-- isolation_chosen: an adoption kept the policies of public.auto_sync_schedules, because they say something that no mode of
-- isolation says; which mode is right must be decided by a person who knows the project.
select 'warning' as status, 'table public.auto_sync_schedules' as object,
    format('is under its own policies, which the adoption of %s kept: %s', to_char(s.updated_at at time zone 'UTC', 'YYYY-MM-DD'),
        coalesce((
            select string_agg(p.policyname, ', ' order by p.policyname)
            from pg_catalog.pg_policies as p
            where p.schemaname = 'public' and p.tablename = 'auto_sync_schedules'
        ), 'none')) as detail,
    jsonb_build_object('table', 'public.auto_sync_schedules', 'since', s.updated_at) as facts
from autosync.setting as s
where s.name = 'isolation_undecided'
