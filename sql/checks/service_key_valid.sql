-- service_key_valid: judged by form alone; a live call judges the rest.
select 'critical' as status, 'secret service_role_key' as object,
    case
        when k.kind = 'publishable' then 'is a publishable key, which every client has'
        when k.kind = 'unknown' then 'is neither a whole JWT nor an sb_secret_ key'
        when k.role is distinct from 'service_role' then format('is a JWT of the role %s', coalesce(k.role, '(none)'))
        else format('expired on %s', to_char(k.expires_at at time zone 'UTC', 'YYYY-MM-DD'))
    end as detail,
    jsonb_build_object('secret', 'service_role_key', 'kind', k.kind, 'role', k.role, 'expires_at', k.expires_at) as facts
from autosync.service_key_facts() as k
where 'service_role_key' = any (autosync.needed_secrets(checked.name))
    and (k.kind in ('publishable', 'unknown')
        or k.kind = 'legacy' and (k.role is distinct from 'service_role' or k.expires_at <= now()))
union all
select 'unknown', 'secret service_role_key', 'is not stored', jsonb_build_object('secret', 'service_role_key', 'reason', 'missing')
where not exists (select from autosync.service_key_facts())
    and 'service_role_key' = any (autosync.needed_secrets(checked.name))
    -- a job that is off needs none
    and (autosync.secrets_hidden() is not null
        or exists (select from autosync.job as j where j.name = checked.name and j.enabled and j.paused_at is null))
