-- recent_outcomes(job_name, max_rows): the newest requests of a job with their outcomes as known now, newest first.
-- requires: 0005
-- Reads only: an outcome that is not settled yet is looked up in pg_net. Called by the checks and by runs and status.
-- Of one job by a range, in the order of the index on (job_id, id): with `=` the planner may walk through the calls of all other
-- jobs by the primary key, which for a job that seldom calls is all of the ledger. In PL/pgSQL, whose plans last: the checks call it
-- several times for every job.
create or replace function autosync.recent_outcomes(job_name text default 'auto-sync-cron-job', max_rows integer default 20)
returns table (
    id bigint,
    tick_id bigint,
    request_id bigint,
    queued_at timestamptz,
    settled_at timestamptz,
    timeout_milliseconds integer,
    outcome text,
    status_code integer,
    error_code text,
    error_message text,
    body_excerpt text,
    cause text,
    attempt integer,
    idempotency_key uuid,
    function_milliseconds integer,
    counts jsonb,
    sb_request_id text,
    execution_id text,
    report_due_at timestamptz,
    retry_at timestamptz,
    answered_by text,
    proof text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    of_job constant integer := (select j.id from autosync.job as j where j.name = recent_outcomes.job_name);
begin
    return query
    with newest as materialized (
        select v.*
        from autosync.invocation as v
        where v.job_id between of_job and of_job
        order by v.job_id desc, v.id desc
        limit recent_outcomes.max_rows
    )
    select
        i.id, i.tick_id, i.request_id, i.queued_at, i.settled_at, i.timeout_milliseconds,
        coalesce(o.outcome, i.outcome),
        coalesce(o.status_code, i.status_code),
        coalesce(o.error_code, i.error_code),
        coalesce(o.error_message, i.error_message),
        coalesce(o.body_excerpt, i.body_excerpt),
        autosync.classify(
            coalesce(o.outcome, i.outcome),
            coalesce(o.status_code, i.status_code),
            coalesce(o.error_code, i.error_code),
            coalesce(o.body_excerpt, i.body_excerpt),
            coalesce(o.answered_by, i.answered_by)
        ),
        i.attempt,
        i.idempotency_key,
        coalesce(o.function_milliseconds, i.function_milliseconds),
        coalesce(o.counts, i.counts),
        coalesce(o.sb_request_id, i.sb_request_id),
        coalesce(o.execution_id, i.execution_id),
        i.report_due_at,
        i.retry_at,
        coalesce(o.answered_by, i.answered_by),
        coalesce(o.proof, i.proof)
    from newest as i
    -- those that are asked about, and not the oldest of all that wait
    left join autosync.pending_outcomes(array(select n.id from newest as n where n.outcome = 'pending')) as o
        on o.invocation_id = i.id
    order by i.id desc;
end
$$;

revoke all on function autosync.recent_outcomes(text, integer) from public;

comment on function autosync.recent_outcomes(text, integer) is 'the newest requests of a job and what became of them';
