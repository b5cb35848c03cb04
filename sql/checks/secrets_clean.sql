-- secrets_clean: the characters of the stored values; none is shown. dispatch() takes blanks off both ends and refuses the rest.
select case when s.stray > 0 then 'critical' else 'warning' end as status,
    format('secret %s', s.name) as object,
    case when s.stray > 0
        then format('contains %s blanks, line breaks or other characters that no header carries', s.stray)
        else format('has %s blanks or line breaks around it: dispatch() takes them off, other readers send them', s.padding)
    end as detail,
    jsonb_build_object('secret', s.name, 'stray', s.stray, 'padding', s.padding) as facts
from autosync.secret_facts() as s
where (s.name in ('project_url', 'service_role_key', 'cron_secret', 'gateway_key')
        or s.name in (select unnest(autosync.needed_secrets(j.name)) from autosync.job as j))
    and not s.is_blank
    and s.stray + s.padding > 0
union all
select 'unknown', h.object, h.reason, jsonb_build_object('reason', 'hidden', 'role', current_user)
from (
    select case autosync.secret_store() when 'vault' then 'view vault.decrypted_secrets' else 'table public.pg_cron_secrets' end
        as object, autosync.secrets_hidden() as reason
) as h
where h.reason is not null
order by object
