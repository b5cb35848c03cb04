-- secrets_present: both rows exist and hold something. Values are not shown.
select 'critical' as status, format('secret %s', w.name) as object,
    case when s.name is null then 'is missing from public.pg_cron_secrets' else 'is blank' end as detail
from (values ('project_url'), ('service_role_key')) as w (name)
left join public.pg_cron_secrets as s on s.name = w.name
where not row_security_active('public.pg_cron_secrets')
    and (s.name is null or btrim(s.secret, E' \t\r\n') = '')
union all
select 'unknown', 'table public.pg_cron_secrets', 'its rows are hidden from this role by row level security'
where row_security_active('public.pg_cron_secrets')
order by object
