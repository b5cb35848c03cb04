-- function_deployed: what the newest answered call says, and for how long it has said so.
select f.status as status, format('function %s', f.function_name) as object,
    case
        when f.status in ('critical', 'warning') then format('%s of the last %s calls found no such function since %s: %s', f.calls, f.total, f.since, f.answer)
        else f.answer
    end as detail,
    -- as it is deployed: a sub-path and a query may follow
    jsonb_build_object('function', substring(f.function_name from '^(?:https?://.*|[^/?]+)'), 'calls', f.calls, 'total', f.total, 'last_at', f.last_at,
        'reason', case when f.status in ('critical', 'warning') and f.function_name ~ '^https?://' then 'own_url' end,
        'local_port', case when f.status in ('critical', 'warning') and not f.function_name ~ '^https?://' then (
            select substring(s.secret, '^\s*https?://(?:localhost|127\.[0-9.]+|\[::1\]|host\.docker\.internal|172\.17\.0\.1):([0-9]{1,5})')::integer
            from autosync.stored_secrets() as s
            where s.name = 'project_url'
        ) end) as facts
from (
    select c.*, j.status,
        case j.status when 'unknown' then c.elsewhere when 'ok' then case when c.cause = any (array['ok', 'key', 'function']) then c.passed else c.elsewhere end
            else c.failed end as answer
    from autosync.call_findings(checked.name) as c
    cross join lateral (
        select case
            when c.cause = 'missing' then case when c.is_over then 'warning' else 'critical' end
            when c.cause = any (array['ok', 'key', 'function']) or c.is_over then 'ok'
            else 'unknown'
        end as status
    ) as j
) as f
