-- secrets_clean: the characters of the stored values; none is shown. dispatch() takes blanks off both ends and refuses the rest.
-- A visible character that no key has, as in a masked one, or a blank within: what the repair would leave is no key.
with value as (
    select s.name, s.secret, btrim(s.secret, E' \t\r\n') as trimmed
    from autosync.stored_secrets() as s
    where s.name in ('project_url', 'service_role_key', 'cron_secret', 'gateway_key')
        or s.name in (select unnest(autosync.needed_secrets(j.name)) from autosync.job as j)
),
counted as (
    select v.name, length(v.secret) - length(v.trimmed) as padding, length(regexp_replace(v.trimmed, '[!-~]', '', 'g')) as stray,
        -- as the repair cleans it
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(v.secret, '[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]', '', 'g'),
                    '[\u000a-\u000d\u0085\u2028\u2029]', E'\n', 'g'
                ),
                '[\u0001-\u0009\u000e-\u001f\u007f-\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]', ' ', 'g'
            ),
            '^[ \n]*((authorization|apikey) *: *)?(bearer *:?[ \n]+)?| *\n[ \n]*| +$', '', 'gi'
        ) as cleaned
    from value as v
    where v.trimmed <> ''
)
select case when c.stray > 0 then 'critical' else 'warning' end as status,
    format('secret %s', c.name) as object,
    case
        when c.stray > 0 and c.cleaned !~ '^[!-~]+$'
        then format('contains %s characters that no header carries, and is no whole %s without them', c.stray,
            case c.name when 'project_url' then 'address' when 'service_role_key' then 'key' else 'secret' end)
        when c.stray > 0 then format('contains %s blanks, line breaks or other characters that no header carries', c.stray)
        else format('has %s blanks or line breaks around it: dispatch() takes them off, other readers send them', c.padding)
    end as detail,
    jsonb_build_object('secret', c.name, 'stray', c.stray, 'padding', c.padding,
        'reason', case when c.stray > 0 and c.cleaned !~ '^[!-~]+$' then 'spoiled' end) as facts
from counted as c
where c.stray + c.padding > 0
union all
select 'unknown', h.object, h.reason, jsonb_build_object('reason', 'hidden', 'role', current_user)
from (
    select case autosync.secret_store() when 'vault' then 'view vault.decrypted_secrets' else 'table public.pg_cron_secrets' end
        as object, autosync.secrets_hidden() as reason
) as h
where h.reason is not null
order by object
