-- project_url_reachable: what the newest answered call says, and for how long it has said so.
select f.status as status, format('function %s', f.function_name) as object,
    case
        when f.status in ('critical', 'warning') then format('%s of the last %s calls %s since %s: %s', f.calls, f.total,
            case when f.is_redirected or f.status_code between 300 and 399 then 'went astray' when f.status_code is not null then 'did not get through' else 'got no HTTP answer' end, f.since, f.answer)
        else f.answer
    end as detail,
    jsonb_build_object('function', f.function_name, 'calls', f.calls, 'total', f.total, 'last_at', f.last_at, 'error_code', f.error_code,
        'reason', case
            when f.status = 'ok' then null
            when f.function_name ~ '^https?://' then case when f.error_code = 'REDIRECTED_WITH_KEY' then 'own_url_with_secret' else 'own_url' end
            when f.status_code = 400 then 'wants_https'
            when not f.is_redirected then case when exists (
                select
                from (select o.* from autosync.invocation as o order by o.id desc limit 200) as i
                join autosync.job as k on k.id = i.job_id and k.function is not null
                where i.queued_at > f.last_at and i.status_code is not null
            ) then 'reached_since' else case
                when f.status_code between 520 and 530 then 'behind'
                when f.answer ~ 'list of certificate authorities' then 'authorities'
                when f.answer ~ 'certificate is not trusted' then 'certificate'
                when f.answer ~ 'completed the connection in time' then 'shut_out'
                when f.answer ~ 'was closed|was broken off' then 'broken_off'
            end end
            when f.error_code = 'REDIRECTED_WITH_KEY' then 'redirected_with_key'
            else 'redirected'
        end,
        'secret', (select j.secret_name from autosync.job as j where j.name = checked.name),
        'local_port', case when f.status in ('critical', 'warning') and f.answer ~* 'nobody listens there' and not f.function_name ~ '^https?://' then (
            select substring(s.secret, '^\s*https?://(?:localhost|127\.[0-9.]+|\[::1\]|host\.docker\.internal|172\.17\.0\.1):([0-9]{1,5})')::integer
            from autosync.stored_secrets() as s
            where s.name = 'project_url'
        ) end) as facts
from (
    select c.*, j.status, coalesce(c.error_code like 'REDIRECTED%', false) as is_redirected,
        case j.status when 'unknown' then c.elsewhere when 'ok' then case when c.cause = any (array['ok', 'key', 'missing', 'function', 'slow', 'gateway', 'page']) then c.passed else c.elsewhere end
            else c.failed end as answer
    from autosync.call_findings(checked.name) as c
    cross join lateral (
        select case
            when c.cause = 'network' then case when c.is_over then 'warning' else 'critical' end
            when c.cause = any (array['ok', 'key', 'missing', 'function', 'slow', 'gateway', 'page']) or c.is_over then 'ok'
            else 'unknown'
        end as status
    ) as j
) as f
