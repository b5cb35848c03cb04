-- call_findings(job_name, failing_cause, passing_causes): what a job's answered calls say of one part of the chain, in one row.
-- requires: 0005
-- critical: the newest call failed for failing_cause, with the length of that run of failures. ok: it came back with one of
-- passing_causes. unknown: there is no answered call, or it failed before it got that far. A failure of more than a day ago,
-- or from before a pause, after which no call was due is a warning: nothing is failing. Called by the checks on calls.
create or replace function autosync.call_findings(job_name text, failing_cause text, passing_causes text[])
returns table (
    status text,
    function_name text,
    calls bigint,
    total bigint,
    since text,
    last_at timestamptz,
    answer text,
    body_excerpt text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with answered as (
        select o.*, row_number() over (order by o.id desc) as age
        from autosync.recent_outcomes(call_findings.job_name, 50) as o
        where o.cause not in ('pending', 'lost')
    ),
    newest as (
        select a.* from answered as a where a.age = 1
    ),
    streak as (
        select a.*
        from answered as a
        where a.age < coalesce(
            (select min(b.age) from answered as b where b.cause <> (select n.cause from newest as n)),
            51
        )
    ),
    later as (
        select case
            when j.paused_at > n.queued_at then ', before the job was paused'
            when n.queued_at < now() - interval '1 day' and t.decision = 'idle' then ', and none was due after that'
        end as explanation
        from newest as n
        join autosync.job as j on j.name = call_findings.job_name
        left join lateral (
            select k.decision
            from autosync.tick as k
            where k.job_id = j.id
            order by k.id desc
            limit 1
        ) as t on true
    )
    select
        case
            when n.cause = call_findings.failing_cause then case when l.explanation is null then 'critical' else 'warning' end
            when n.cause = any(call_findings.passing_causes) or l.explanation is not null then 'ok'
            else 'unknown'
        end,
        coalesce(j.function, j.url, call_findings.job_name),
        (select count(*) from streak),
        (select count(*) from answered),
        autosync.moment((select min(s.queued_at) from streak as s)) || coalesce(l.explanation, ''),
        n.queued_at,
        case
            when n.id is null then 'no call has been answered yet'
            when n.cause = any(call_findings.passing_causes)
                then format('answered %s at %s', concat_ws(' ', n.status_code, n.error_code), autosync.moment(n.queued_at))
            when n.cause = call_findings.failing_cause
                then concat_ws(' ', coalesce(n.status_code::text, n.error_message, n.outcome), n.error_code)
                    || coalesce(' (' || autosync.answer_meaning(n.cause, n.status_code, n.error_code, n.error_message) || ')', '')
            else 'the newest call failed before it got that far' || coalesce(l.explanation, '')
        end,
        n.body_excerpt
    from (select) as always
    left join newest as n on true
    left join later as l on true
    left join autosync.job as j on j.name = call_findings.job_name
$$;

revoke all on function autosync.call_findings(text, text, text[]) from public;

comment on function autosync.call_findings(text, text, text[]) is 'what the answered calls say of one part of the chain';
