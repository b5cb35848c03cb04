-- rotation_finished: what a rotation activated and no call has proven since; it keeps what was there before. While its lease
-- lasts a rotation is at work. No value is shown.
select
    case when r.lease_expires_at > now() then 'ok' when c.cause = 'key' then 'critical' else 'warning' end as status,
    case when r.name like 'setting:%' then format('setting %s', substr(r.name, 9)) else format('secret %s', r.name) end as object,
    format('was replaced at %s by %s (%s, %s)', to_char(r.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
        r.started_by, coalesce(nullif(r.application_name, ''), 'no application name'), coalesce(host(r.client_address), 'local socket'))
    || case
        when r.lease_expires_at > now() then ' and is being proven'
        when c.cause = 'key' then format(' and never proven; the newest call since was refused: %s', c.answer)
        when c.cause is null then ' and never proven; no call was answered since'
        else format(' and never proven; the newest call since was answered %s', c.answer)
    end as detail,
    jsonb_build_object(case when r.name like 'setting:%' then 'setting' else 'secret' end, regexp_replace(r.name, '^setting:', ''),
        'role', r.started_by, 'started_at', r.started_at, 'expires_at', r.lease_expires_at, 'cause', c.cause) as facts
from autosync.secret_rotation as r
left join lateral (
    select o.cause, concat_ws(' ', coalesce(o.status_code::text, o.error_message, o.outcome), o.error_code) as answer
    from autosync.job as j
    cross join lateral autosync.recent_outcomes(j.name, 50) as o
    where o.queued_at > r.started_at
        and o.cause not in ('pending', 'lost')
        and (r.name = any (autosync.needed_secrets(j.name)) or r.name like 'setting:%')
    order by o.id desc
    limit 1
) as c on true
union all
select
    case when k.lease_expires_at > now() then 'ok' else 'warning' end,
    format('key %s', k.made),
    format('was to take the place of the %s, by rotate --auto since %s by %s (%s, %s)',
        case k.subject when 'cron_secret' then 'cron secret' else 'service key' end,
        to_char(k.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), k.started_by,
        coalesce(nullif(k.application_name, ''), 'no application name'), coalesce(host(k.client_address), 'local socket'))
    || case
        when k.lease_expires_at > now() then ', which is at work'
        when k.old_is_free is null then ', which never ended: the platform may have a key more than is used'
        else ', which never ended: the old key may still be valid'
    end,
    jsonb_build_object('secret', k.subject, 'role', k.started_by, 'started_at', k.started_at, 'expires_at', k.lease_expires_at,
        'cause', null)
from autosync.key_rotation as k
union all
select 'unknown', 'table autosync.secret_rotation', 'its rows are hidden from this role by row level security',
    jsonb_build_object('reason', 'hidden', 'table', 'autosync.secret_rotation', 'role', current_user)
where row_security_active('autosync.secret_rotation')
order by object
