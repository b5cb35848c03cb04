-- service_key_fresh: the kind of the key and since when it is stored. A key that names no hosted project, sent to a local or
-- own address, follows its own rules.
select f.status, 'secret service_role_key' as object, f.detail,
    jsonb_build_object('secret', 'service_role_key', 'reason', f.reason, 'changed_at', k.changed_at, 'expires_at', k.expires_at) as facts
from autosync.service_key_facts() as k
left join autosync.stored_secrets() as u on u.name = 'project_url'
cross join lateral (
    select coalesce(k.project_ref ~ '^[a-z]{20}$', false)
        or btrim(coalesce(u.secret, ''), E' \t\r\n') ~* '^https://[a-z]{20}\.supabase\.(co|in)/?$' as hosted
) as h
cross join lateral (
    select 'warning' as status, 'is a legacy JWT key, which Supabase deprecates by the end of 2026' as detail, 'legacy' as reason
    where k.kind = 'legacy' and h.hosted
    union all
    select 'warning', format('has been in use since %s, for more than a year', to_char(k.changed_at at time zone 'UTC', 'YYYY-MM-DD')), 'old'
    where h.hosted and k.changed_at < now() - interval '1 year'
    union all
    select 'warning', format('expires on %s', to_char(k.expires_at at time zone 'UTC', 'YYYY-MM-DD')), 'expires'
    where h.hosted and k.expires_at > now() and k.expires_at < now() + interval '30 days'
) as f
union all
select 'unknown', 'secret service_role_key', 'is not stored', jsonb_build_object('secret', 'service_role_key', 'reason', 'missing')
where not exists (select from autosync.service_key_facts())
    and exists (
        select from chosen_jobs as c
        join autosync.job as j on j.name = c.name
        where 'service_role_key' = any (autosync.needed_secrets(j.name))
            and (j.enabled and j.paused_at is null or autosync.secrets_hidden() is not null)
    )
union all
select 'ok', 'secret service_role_key',
    'is stored, and no job sends it any more: delete it if nothing else reads it, with autosync-db secrets delete service_role_key',
    jsonb_build_object('secret', 'service_role_key', 'reason', 'unused')
from autosync.service_key_facts()
where not exists (select from autosync.job as j where 'service_role_key' = any (autosync.needed_secrets(j.name)))
union all
select 'unknown', 'secret service_role_key', h.reason, jsonb_build_object('secret', 'service_role_key', 'reason', 'hidden')
from (select autosync.secrets_hidden() as reason) as h
where h.reason is not null
