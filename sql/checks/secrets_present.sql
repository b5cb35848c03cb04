-- secrets_present: what the job's calls are made with exists and holds something. Values are not shown.
-- A job that is off makes no call.
select case when not j.enabled then 'ok' when j.paused_at is not null then 'warning' else 'critical' end as status,
    format('secret %s', w.name) as object,
    case when s.name is not null then 'is blank'
        when autosync.secret_store() = 'vault' then 'is missing from the vault'
        else 'is missing from public.pg_cron_secrets' || case when o.name is null then '' else format(', which has "%s"', o.name) end
    end || case when j.enabled and j.paused_at is null then '' else format('; the job %s is off', j.name) end as detail,
    jsonb_build_object('reason', case when s.name is null then 'missing' else 'blank' end, 'secret', w.name, 'other', o.name,
        'is_known', w.name = 'project_url' and autosync.proven_address() is not null,
        'is_set_up', exists (select from autosync.secret_facts()) or autosync.proven_address() is not null) as facts
from autosync.job as j
cross join lateral unnest(autosync.needed_secrets(j.name)) as w (name)
left join autosync.secret_facts() as s on s.name = w.name
left join lateral (
    -- the same name as somebody else spells it
    select n.name
    from autosync.secret_facts() as n
    where s.name is null and not n.is_blank and autosync.secret_store() = 'table'
        and lower(regexp_replace(n.name, '[^A-Za-z0-9]', '', 'g')) = lower(regexp_replace(w.name, '[^A-Za-z0-9]', '', 'g'))
    order by n.name
    limit 1
) as o on true
where j.name = checked.name and autosync.secrets_hidden() is null
    -- the column may take nulls, where somebody let it
    and (s.name is null or s.is_blank is not false)
union all
-- without the primary key
select 'critical', format('secret %s', s.name), format('has %s rows, and chance decides which one a call takes', count(*)),
    jsonb_build_object('reason', 'repeated', 'secret', s.name, 'count', count(*))
from autosync.secret_facts() as s
where s.name = any (autosync.needed_secrets(checked.name))
group by s.name
having count(*) > 1
union all
select 'unknown', h.object, h.reason, jsonb_build_object('reason', 'hidden', 'role', current_user)
from (
    select case autosync.secret_store() when 'vault' then 'view vault.decrypted_secrets' else 'table public.pg_cron_secrets' end
        as object, autosync.secrets_hidden() as reason
) as h
where h.reason is not null
order by object
