-- secrets_clean: the characters of the stored values; none is shown. dispatch() takes blanks off both ends and refuses the rest.
select case when btrim(s.secret, E' \t\r\n') ~ '[^!-~]' then 'critical' else 'warning' end as status,
    format('secret %s', s.name) as object,
    case when btrim(s.secret, E' \t\r\n') ~ '[^!-~]'
        then format('contains %s blanks, line breaks or other characters that no header carries',
            length(regexp_replace(btrim(s.secret, E' \t\r\n'), '[!-~]', '', 'g')))
        else format('has %s blanks or line breaks around it: dispatch() takes them off, other readers send them',
            length(s.secret) - length(btrim(s.secret, E' \t\r\n')))
    end as detail
from public.pg_cron_secrets as s
where s.name in ('project_url', 'service_role_key')
    and btrim(s.secret, E' \t\r\n') <> ''
    and s.secret ~ '[^!-~]'
union all
select 'unknown', 'table public.pg_cron_secrets', 'its rows are hidden from this role by row level security'
where row_security_active('public.pg_cron_secrets')
order by object
