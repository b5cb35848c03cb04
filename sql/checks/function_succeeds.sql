-- function_succeeds: what the newest answered call says, and for how long it has said so.
select f.status as status, format('function %s', f.function_name) as object,
    case
        when f.status in ('critical', 'warning') then format('%s of the last %s calls failed in the function since %s: %s', f.calls, f.total, f.since, f.answer)
        else f.answer
    end as detail,
    jsonb_build_object('function', f.function_name, 'calls', f.calls, 'total', f.total, 'last_at', f.last_at,
        'proof', f.proof, 'answered_by', f.answered_by,
        'reason', case
            when f.status = 'ok' then null
            when f.answer ~ 'not what the job''s `expect` says' then 'expect'
            when f.answer ~* 'PGRST203|could not choose the best candidate function' then 'overload'
            when f.answer ~* 'PGRST20[0-5]|in the schema cache' then 'schema_cache'
            when f.status_code = 402 then 'quota'
            when f.error_code = 'BOOT_ERROR' or f.error_code like 'LOAD_FUNCTION%' then 'boot'
            when f.error_code in ('WORKER_LIMIT', 'WORKER_RESOURCE_LIMIT') or f.status_code = 546 then 'limits'
        end) as facts
from (
    select c.*, j.status,
        case j.status when 'unknown' then c.elsewhere when 'ok' then case when c.cause = any (array['ok']) then c.passed else c.elsewhere end
            else c.failed end as answer
    from autosync.call_findings(checked.name) as c
    cross join lateral (
        select case
            when c.cause = 'function' then case when c.is_over then 'warning' else 'critical' end
            when c.cause = any (array['ok']) or c.is_over then 'ok'
            else 'unknown'
        end as status
    ) as j
) as f
