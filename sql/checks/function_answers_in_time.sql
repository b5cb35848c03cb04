-- function_answers_in_time: what the newest answered call says, and for how long it has said so.
select f.status as status, format('function %s', f.function_name) as object,
    case
        when f.status in ('critical', 'warning') then format('%s of the last %s calls got no answer in time since %s: %s', f.calls, f.total, f.since, f.answer)
        else f.answer
    end as detail,
    jsonb_build_object('function', f.function_name, 'calls', f.calls, 'total', f.total, 'last_at', f.last_at,
        'reason', case
            when f.status not in ('critical', 'warning') then null
            when f.answer ~ 'may still be at work' then 'report'
            when f.error_code = 'IDLE_TIMEOUT' or f.status_code in (504, 524) then 'gateway'
        end) as facts
from (
    select c.*, j.status,
        case j.status when 'unknown' then c.elsewhere when 'ok' then case when c.cause = any (array['ok', 'key', 'missing', 'function', 'gateway', 'page']) then c.passed else c.elsewhere end
            else c.failed end as answer
    from autosync.call_findings(checked.name) as c
    cross join lateral (
        select case
            when c.cause = 'slow' then case when c.is_over then 'warning' else 'critical' end
            when c.cause = any (array['ok', 'key', 'missing', 'function', 'gateway', 'page']) or c.is_over then 'ok'
            else 'unknown'
        end as status
    ) as j
) as f
