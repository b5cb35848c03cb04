-- read_outcomes(ids): what pg_net knows by now of these requests of the ledger; raises when an answer cannot be read.
-- requires: 0005
-- Called by pending_outcomes(), which asks for one at a time when asking for all fails. A timeout before the request was on
-- its way and an answer from elsewhere, to which a redirect leads as a GET without a body, are errors of the network.
-- A good answer has a status that the job expects, is no web page and states no failure; proof says what shows that it is good:
-- expected (the settings name it), stated (by the function), or the reason why it is unproven: empty, text, silent (JSON that
-- states neither) or long.
-- Names of headers are compared byte by byte (collate "C"): whoever answers chooses them, and they need not be UTF-8.
create or replace function autosync.read_outcomes(ids bigint[])
returns table (
    invocation_id bigint,
    outcome text,
    status_code integer,
    error_code text,
    error_message text,
    body_excerpt text,
    function_milliseconds integer,
    counts jsonb,
    answered_by text,
    proof text,
    sb_request_id text,
    execution_id text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
    with pending as materialized (
        select i.id, i.request_id, i.queued_at, coalesce(i.epoch = autosync.pg_net_epoch(), false) as same_epoch,
            j.reports_within is not null as reports, j.expect, j.name as job
        from autosync.invocation as i
        left join autosync.job as j on j.id = i.job_id
        where i.id = any(ids)
    ),
    -- created is when the worker's batch began, which may be just before the request was written.
    -- The range on it uses the only index that pg_net has there.
    response as materialized (
        select r.id, r.status_code, r.content, r.headers, r.timed_out, r.error_msg, r.created
        from net._http_response as r
        where r.created >= (select min(p.queued_at) - interval '5 seconds' from pending as p)
            and r.id in (select p.request_id from pending as p)
    )
    select
        p.id,
        case
            when r.id is null then
                case when q.id is not null and p.same_epoch then 'pending' else 'lost' end
            when r.error_msg ~ 'HTTP Request/Response time: -?0\.?0* ms'
                and (
                    r.error_msg !~ 'Total time: ([0-9]+[.]?[0-9]?)[0-9]* ms \(DNS time: \1[0-9]* ms, TCP/SSL handshake time: 0\.?0* ms'
                    -- pg_net says the same of a slow answer on a connection that it kept open, at most for two minutes: all of
                    -- the time was lookup, to the last digit
                    or not exists (
                        select from net._http_response as o
                        where o.created between p.queued_at - interval '3 minutes' and p.queued_at
                            and o.status_code is not null
                    )
                ) then 'network_error'
            when r.error_msg is not null and (r.timed_out or r.error_msg ilike 'timeout%') then 'timed_out'
            when r.error_msg is not null or t.redirected_to is not null then 'network_error'
            -- neither a status nor an error: no proof of anything
            when r.status_code is null then case when r.timed_out then 'timed_out' else 'network_error' end
            when not g.is_expected then 'http_error'
            when g.matches then 'ok'
            when g.matches is false or g.is_page or a.facts ->> 'is' = 'failed' then 'failed'
            when p.reports and r.status_code = 202 then 'accepted'
            else 'ok'
        end,
        case when t.redirected_to is null then r.status_code end,
        case when t.redirected_to is null then autosync.excerpt(t.error_code) else autosync.redirect_code(p.job, t.redirected_to) end,
        case
            when t.redirected_to is not null then autosync.excerpt('was redirected to ' || t.redirected_to)
            when r.id is null and not p.same_epoch then 'pg_net''s tables began again before an answer was kept'
            when r.id is null and q.id is null then 'pg_net no longer knows the request: expired, deleted or never sent'
            when g.is_expected and g.matches is false then 'the answer is not the one that the setting expect describes'
            when not g.is_expected and r.status_code between 200 and 299 then 'its status is none that the setting expect names'
            when g.is_expected and g.is_page then 'a web page answered'
            when r.id is not null and r.status_code is null and coalesce(r.error_msg, '') = '' then 'pg_net wrote down neither a status nor an error'
            else autosync.excerpt(coalesce(r.error_msg, a.facts ->> 'error'))
        end,
        autosync.excerpt(r.content),
        cast(a.facts ->> 'duration_ms' as integer),
        a.facts -> 'counts',
        g.answered_by,
        case
            when r.status_code is null or t.redirected_to is not null or not g.is_expected then null
            when g.matches then 'expected'
            when g.matches is false or g.is_page or a.facts ->> 'is' = 'failed' then null
            when p.expect -> 'status' is not null then 'expected'
            when a.facts ->> 'is' = 'good' then 'stated'
            when coalesce(btrim(r.content, E' \t\r\n'), '') = '' then 'empty'
            when a.facts is not null then 'silent'
            when octet_length(r.content) > 100000 then 'long'
            else 'text'
        end,
        left(autosync.excerpt(t.sb_request_id), 100),
        left(autosync.excerpt(t.execution_id), 100)
    from pending as p
    left join response as r
        on r.id = p.request_id
        and r.created >= p.queued_at - interval '5 seconds'
        and p.same_epoch
    -- what a text says counts with a good status alone: of another status it is the usual form
    cross join lateral (
        select case when not f.facts ? 'text' or r.status_code between 200 and 299 then f.facts end as facts
        from (select autosync.answer_facts(r.content) as facts) as f
    ) as a
    left join lateral (
        select max(h.value collate "C") filter (where lower(h.key collate "C") = 'sb-error-code') as error_code,
            max(h.value collate "C") filter (where lower(h.key collate "C") = 'sb-request-id') as sb_request_id,
            max(h.value collate "C") filter (where lower(h.key collate "C") = 'x-deno-execution-id') as execution_id,
            -- pg_net keeps the headers of the first answer and the status of the last
            max(h.value collate "C") filter (where lower(h.key collate "C") = 'location' and r.status_code not in (201, 202)
                and r.status_code not between 300 and 399) as redirected_to
        from pg_catalog.jsonb_each_text(case when jsonb_typeof(r.headers) = 'object' then r.headers end) as h
    ) as t on true
    cross join lateral (
        select w.answered_by,
            case when jsonb_typeof(p.expect -> 'status') = 'array' then p.expect -> 'status' @> to_jsonb(r.status_code)
                else r.status_code between 200 and 299 end as is_expected,
            case when p.expect ? 'json' then coalesce(autosync.holds_json(r.content, p.expect -> 'json'), false) end as matches,
            autosync.answerer_kind(w.answered_by) in ('pages', 'firewall', 'gateway') as is_page
        from (select autosync.answered_by(r.status_code, r.headers, r.content) as answered_by) as w
    ) as g
    left join net.http_request_queue as q on q.id = p.request_id
$$;

revoke all on function autosync.read_outcomes(bigint[]) from public;

comment on function autosync.read_outcomes(bigint[]) is 'what pg_net knows of these requests';
