-- function_answers_in_time: what the newest answered call says, and for how long it has said so.
select f.status as status, format('function %s', f.function_name) as object,
    case
        when f.status in ('critical', 'warning') then format('%s of the last %s calls got no answer in time since %s: %s', f.calls, f.total, f.since, f.answer)
        else f.answer
    end as detail,
    jsonb_build_object('function', f.function_name, 'calls', f.calls, 'total', f.total, 'last_at', f.last_at) as facts
from autosync.call_findings(checked.name, 'slow', array['ok', 'key', 'missing', 'function']) as f
