-- project_url_reachable: what the newest answered call says, and for how long it has said so.
select f.status as status, format('function %s', f.function_name) as object,
    case f.status
        when 'critical' then format('%s of the last %s calls got no HTTP answer since %s: %s', f.calls, f.total, f.since, f.answer)
        when 'ok' then format('answered %s at %s', f.answer, to_char(f.last_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
        else f.answer
    end as detail
from autosync.call_findings(current_setting('autosync.job'), 'network', array['ok', 'key', 'missing', 'function', 'slow']) as f
