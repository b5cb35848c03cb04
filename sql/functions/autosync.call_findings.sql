-- call_findings(job_name): what the newest answered call of a job says, in one row; each check on calls judges one part of the chain.
-- requires: 0005
-- cause: that of the newest call, null where none was answered. calls and since: the length of the run of calls of that cause.
-- A call that was accepted, and whose report is not due yet, passed all of the chain before the function's work: it counts as answered
-- unless the newest call with an end failed in that work. A call that failed and is repeated has no end yet: where the one before went
-- well it does not count, unless a second tick fared alike.
-- is_over: nothing is failing any more. The newest call is from before the job was paused or switched off, or more than a day old with
-- none due since. So it is with a job that is off and was never called.
create or replace function autosync.call_findings(job_name text)
returns table (
    cause text,
    is_over boolean,
    function_name text,
    calls bigint,
    total bigint,
    since text,
    last_at timestamptz,
    passed text,
    failed text,
    elsewhere text,
    status_code integer,
    error_code text,
    answered_by text,
    proof text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with read as (
        select o.* from autosync.recent_outcomes(call_findings.job_name, 50) as o where o.cause <> 'lost'
    ),
    recent as (
        select o.*,
            o.cause not in ('ok', 'pending') and (
                coalesce(o.retry_at > now() - interval '2 minutes', false)
                -- settle() has not seen it yet, and will have it repeated
                or o.settled_at is null and o.attempt < k.retry_attempts
                    and (o.outcome = 'network_error' or o.status_code in (429, 502, 503, 504, 546))
                    and o.queued_at + o.timeout_milliseconds * interval '1 millisecond' > now() - interval '2 minutes'
                or exists (select from read as r where r.idempotency_key = o.idempotency_key and r.id > o.id and r.cause = 'pending')
            ) as is_repeated
        from read as o
        left join autosync.job as k on k.name = call_findings.job_name
    ),
    ended as (
        select o.id, o.cause from recent as o where o.cause <> 'pending' and not o.is_repeated order by o.id desc limit 1
    ),
    repeated as (
        select count(distinct o.tick_id) = 1 as by_one_tick
        from recent as o
        join ended as e on e.id < o.id and e.cause = 'ok'
        where o.is_repeated
    ),
    awaited as (
        select o.id
        from recent as o
        left join ended as e on true
        where o.outcome = 'accepted' and coalesce(o.report_due_at > now(), true)
            and (e.id is null or e.id < o.id and e.cause not in ('ok', 'function'))
    ),
    answered as (
        select o.id, o.queued_at, o.outcome, o.status_code, o.error_code, o.error_message, o.body_excerpt, o.answered_by, o.proof,
            case when a.id is null then o.cause else 'ok' end as cause,
            case when a.id is not null then o.report_due_at end as report_due_at,
            row_number() over (order by o.id desc) as age
        from recent as o
        cross join repeated as r
        left join awaited as a on a.id = o.id
        where (a.id is not null or o.cause <> 'pending') and not (o.is_repeated and r.by_one_tick)
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
            when not j.enabled and j.updated_at > n.queued_at then ', before the job was switched off'
            when n.queued_at < now() - interval '1 day' and t.decision = 'idle' then ', and none was due after that'
        end as explanation
        from newest as n
        join autosync.job as j on j.name = call_findings.job_name
        left join lateral (
            select k.decision
            from autosync.tick as k
            -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
            where k.job_id between j.id and j.id
            order by k.job_id desc, k.id desc
            limit 1
        ) as t on true
    )
    select
        n.cause,
        l.explanation is not null or n.id is null and (j.paused_at is not null or not j.enabled),
        coalesce(j.function, j.url, call_findings.job_name),
        (select count(*) from streak),
        (select count(*) from answered),
        autosync.moment((select min(s.queued_at) from streak as s)) || coalesce(l.explanation, ''),
        n.queued_at,
        format('answered %s at %s', concat_ws(' ', n.status_code, n.error_code), autosync.moment(n.queued_at))
            || coalesce(', and has until ' || autosync.moment(n.report_due_at) || ' to report', '')
            || coalesce(', unproven: ' || case n.proof
                when 'empty' then 'an empty body says nothing of the run'
                when 'text' then 'plain text says nothing of the run that can be relied on'
                when 'silent' then 'its JSON says neither that the run went well nor that it failed'
                when 'long' then 'its body is too long to be read'
            end || '; answer {"ok": true} to prove it', ''),
        concat_ws(' ', coalesce(n.status_code::text, n.error_message, n.outcome),
            case when n.error_code not like 'REDIRECTED%' then n.error_code end)
            || coalesce(' (' || autosync.answer_meaning(n.cause, n.status_code, n.error_code, n.error_message, n.answered_by) || ')', '')
            -- its own words
            || coalesce(' ' || left(nullif(btrim(n.body_excerpt, E' \t\r\n'), ''), 160), ''),
        case when n.id is null then 'no call has been answered yet' || case when j.paused_at is not null or not j.enabled then ', and the job is off' else '' end
            else 'the newest call failed before it got that far' || coalesce(l.explanation, '') end,
        n.status_code,
        n.error_code,
        n.answered_by,
        n.proof
    from (select) as always
    left join newest as n on true
    left join later as l on true
    left join autosync.job as j on j.name = call_findings.job_name
$$;

revoke all on function autosync.call_findings(text) from public;

comment on function autosync.call_findings(text) is 'what the newest answered call of a job says';
