-- function_reached: what the newest answered call says, and for how long it has said so.
select f.status as status, format('function %s', f.function_name) as object,
    case
        when f.status in ('critical', 'warning') then format('%s of the last %s calls %s answered by something before the function since %s: %s', f.calls, f.total,
                case f.calls when 1 then 'was' else 'were' end, f.since, f.answer)
        else f.answer
    end as detail,
    jsonb_build_object('function', f.function_name, 'calls', f.calls, 'total', f.total, 'last_at', f.last_at,
        'answered_by', f.answered_by, 'status_code', f.status_code, 'reason', case
            when f.status = 'ok' then null
            when f.status_code = 540 then 'paused'
            when f.cause = 'page' and f.function_name ~ '^https?://' then 'own_url'
            when f.cause = 'page' then 'page'
            when autosync.answerer_kind(f.answered_by) = 'firewall' then 'firewall'
            when f.function_name ~ '^https?://' and (f.answered_by = 'object storage' or f.status_code in (404, 405)) then 'own_url'
            when f.answered_by = 'object storage' then 'no_route'
            when f.status_code in (403, 407, 429) then 'firewall'
            when f.status_code in (404, 405) then 'no_route'
            when f.status_code between 400 and 499 then 'refused'
            else 'gateway'
        end) as facts
from (
    select c.*, j.status,
        case j.status when 'unknown' then c.elsewhere when 'ok' then case when c.cause = any (array['ok', 'key', 'missing', 'function']) then c.passed else c.elsewhere end
            else c.failed end as answer
    from autosync.call_findings(checked.name) as c
    cross join lateral (
        select case
            when c.cause in ('gateway', 'page') then case when c.is_over then 'warning' else 'critical' end
            when c.cause = any (array['ok', 'key', 'missing', 'function']) or c.is_over then 'ok'
            else 'unknown'
        end as status
    ) as j
) as f
