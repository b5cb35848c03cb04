-- jobs: the chosen jobs as they are registered.
select j.id, j.name, j.function, j.url, j.sql, j.watch, j.schedule, j.timeout_milliseconds, j.invoke, j.drains, j.overlap, j.auth,
    extract(epoch from j.reports_within) as reports_within, j.enabled, j.paused_at, j.paused_by, j.retry_attempts,
    -- a copy in another project: autosync.binding_findings()
    (
        select s.value ->> 'project_ref'
        from autosync.setting as s
        where s.name = 'binding' and s.value ->> 'inherited_by' <> s.value ->> 'project_ref'
    ) as inherited_from
from chosen_jobs as c
join autosync.job as j on j.id = c.id
order by j.id
