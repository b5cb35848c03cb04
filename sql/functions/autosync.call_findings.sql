-- call_findings(job_name, failing_cause, passing_causes): what a job's answered calls say of one part of the chain, in one row.
-- requires: 0005
-- critical: the newest call failed for failing_cause, with the length of that run of failures. ok: it came back with one of
-- passing_causes. unknown: there is no answered call, or it failed before it got that far. Called by the checks on calls.
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
    )
    select
        case
            when n.cause = call_findings.failing_cause then 'critical'
            when n.cause = any(call_findings.passing_causes) then 'ok'
            else 'unknown'
        end,
        coalesce(j.function, call_findings.job_name),
        (select count(*) from streak),
        (select count(*) from answered),
        to_char((select min(s.queued_at) from streak as s) at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
        n.queued_at,
        case
            when n.id is null then 'no call has been answered yet'
            when n.cause = call_findings.failing_cause or n.cause = any(call_findings.passing_causes)
                then concat_ws(' ', coalesce(n.status_code::text, n.error_message, n.outcome), n.error_code)
            else 'the newest call failed before it got that far'
        end,
        n.body_excerpt
    from (select) as always
    left join newest as n on true
    left join autosync.job as j on j.name = call_findings.job_name
$$;

revoke all on function autosync.call_findings(text, text, text[]) from public;

comment on function autosync.call_findings(text, text, text[]) is 'what the answered calls say of one part of the chain';
