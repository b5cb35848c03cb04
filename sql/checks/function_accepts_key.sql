-- function_accepts_key: what the newest answered call says, and for how long it has said so.
select case when f.status = 'critical' and k.changed_at > f.last_at then 'unknown' else f.status end as status, format('function %s', f.function_name) as object,
    case f.status
        when 'critical' then format('%s of the last %s calls were refused since %s: %s', f.calls, f.total, f.since, f.answer)
            || format('; the key was last changed %s', coalesce(to_char(k.changed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), '(never)'))
            || case when k.changed_at > f.last_at then ', and no call was made with it since' else '' end
        when 'ok' then format('answered %s at %s', f.answer, to_char(f.last_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'))
        else f.answer
    end as detail
from autosync.call_findings(current_setting('autosync.job'), 'key', array['ok', 'function']) as f
left join autosync.service_key_facts() as k on true
