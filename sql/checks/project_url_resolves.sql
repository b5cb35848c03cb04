-- project_url_resolves: whether the newest answered call failed because its host name has no address. libcurl's wordings differ by version.
select case when f.status in ('critical', 'warning') and not f.answer ~* 'resolve host|no name server' then 'ok' else f.status end as status,
    format('function %s', f.function_name) as object,
    case
        when f.status in ('critical', 'warning') and f.answer ~* 'resolve host|no name server'
            then format('%s of the last %s calls got no HTTP answer since %s; the newest: %s', f.calls, f.total, f.since, f.answer)
        when f.status in ('critical', 'warning') then 'the host name was resolved, the call failed later'
        else f.answer
    end as detail,
    jsonb_build_object('function', f.function_name, 'calls', f.calls, 'total', f.total, 'last_at', f.last_at,
        'reason', case
            when f.status = 'unknown' then 'unanswered'
            when f.status = 'ok' then null
            when f.function_name ~ '^https?://' then 'own_url'
            -- the address is the project's, and leads there
            when exists (
                select
                from (select o.* from autosync.invocation as o order by o.id desc limit 200) as i
                join autosync.job as k on k.id = i.job_id and k.function is not null
                where i.queued_at > f.last_at and i.status_code is not null
            ) then 'reached_since'
        end) as facts
from (
    select c.*, j.status,
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
