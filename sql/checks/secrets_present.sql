-- secrets_present: both rows exist and hold something. Values are not shown.
select 'critical' as status, format('secret %s', w.name) as object,
    case when s.name is null then 'is missing from public.pg_cron_secrets' else 'is blank' end as detail
from (values ('project_url'), ('service_role_key')) as w (name)
left join public.pg_cron_secrets as s on s.name = w.name
where s.name is null or btrim(s.secret, E' \t\r\n') = ''
order by w.name
