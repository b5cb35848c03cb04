-- function_accepts_key: what the newest answered call says, and for how long it has said so.
select case when f.status = 'critical' and k.changed_at > f.last_at then 'unknown' else f.status end as status, format('function %s', f.function_name) as object,
    case
        when f.status in ('critical', 'warning') then format('%s of the last %s calls %s refused with %s since %s', f.calls, f.total,
                case f.calls when 1 then 'was' else 'were' end, f.answer, f.since)
            || coalesce(format('; the key was last changed %s', case
                when k.changed_at < now() - interval '2 days' then extract(day from now() - k.changed_at) || ' days ago'
                else 'at ' || autosync.moment(k.changed_at)
            end), '')
            || case when k.changed_at > f.last_at then ', and no call was made with it since' else '' end
        else f.answer
    end as detail,
    jsonb_build_object('function', f.function_name, 'calls', f.calls, 'total', f.total, 'last_at', f.last_at,
        'changed_at', k.changed_at, 'secret', c.secret_name,
        'reason', case
            when f.status = 'ok' then null
            -- the gateway never sees the cron secret: what it refuses is the key beside it, or that there is none
            when (f.error_code like 'UNAUTHORIZED\_%' or f.answer ~* 'legacy api keys')
                and autosync.function_auth(checked.name) = 'cron_secret' then 'gateway_key'
            when c.auth = 'secret' and c.function is not null and f.error_code like 'UNAUTHORIZED\_%'
                and lower(c.secret_header) not in ('authorization', 'apikey') then 'gateway_key'
            when k.changed_at > f.last_at then 'untried'
            when c.auth = 'secret' and c.secret_name <> 'service_role_key' then 'own_secret'
            when c.auth = 'none' then 'no_credential'
            -- it is no JWT, and nothing but one passes a gateway that verifies them
            when f.error_code in ('UNAUTHORIZED_NO_AUTH_HEADER', 'UNAUTHORIZED_INVALID_JWT_FORMAT')
                and exists (select from autosync.service_key_facts() as s where s.kind = 'secret') then 'verify_jwt'
            when f.answer ~* 'legacy api keys' then 'legacy_disabled'
            when f.answer ~* 'x-autosync-cron-secret|cron secret' then 'cron_secret'
            -- withSupabase(): of the secret keys it takes the one named default, and takes none as a bearer token
            when f.answer ~ '@supabase/server' and c.auth = 'service_key' then case
                when exists (select from autosync.service_key_facts() as s where s.kind = 'secret') then 'default_key' else 'legacy_disabled' end
            when f.answer ~* 'named? .{0,3}default|key.{0,20}default' then 'default_key'
        end) as facts
from (
    select c.*, j.status,
        case j.status when 'unknown' then c.elsewhere when 'ok' then case when c.cause = any (array['ok', 'function']) then c.passed else c.elsewhere end
            else c.failed end as answer
    from autosync.call_findings(checked.name) as c
    cross join lateral (
        select case
            when c.cause = 'key' then case when c.is_over then 'warning' else 'critical' end
            when c.cause = any (array['ok', 'function']) or c.is_over then 'ok'
            else 'unknown'
        end as status
    ) as j
) as f
-- the active credential: another one of its kind, or another kind
left join (
    select max(c.changed_at) as changed_at
    from (
        select s.changed_at
        from autosync.secret_facts() as s
        where s.name <> 'project_url' and s.name = any (autosync.needed_secrets(checked.name))
        union all
        select t.updated_at from autosync.setting as t where t.name = 'function_auth'
    ) as c
) as k on true
left join autosync.job as c on c.name = checked.name
