-- jobs: what autosync.job says of each chosen job: whether it is to tick, and how long a call of it may take.
select j.name as subject, jsonb_build_object(
    'makes_calls', j.function is not null or j.url is not null,
    'when_due', j.invoke = 'when_due' and (j.function is not null or j.url is not null),
    'paused_at', extract(epoch from j.paused_at),
    'enabled', j.enabled and (j.function is null and j.url is null or b.inherited is null),
    'timeout', case when j.function is not null or j.url is not null then j.timeout_milliseconds / 1000.0 end
) as facts
from chosen_jobs as c
join autosync.job as j on j.id = c.id
-- a copy in another project makes no calls: autosync.binding_findings()
left join lateral (
    select true as inherited
    from autosync.setting as s
    where s.name = 'binding' and s.value ->> 'inherited_by' <> s.value ->> 'project_ref'
) as b on true
