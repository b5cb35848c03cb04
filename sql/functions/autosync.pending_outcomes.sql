-- pending_outcomes(max_rows): what pg_net knows by now of the requests that the ledger holds as pending, oldest first.
-- requires: 0005
-- Called by settle(), which writes it down, and by recent_outcomes(), which only looks.
create or replace function autosync.pending_outcomes(max_rows integer default 500)
returns table (
    invocation_id bigint,
    outcome text,
    status_code integer,
    error_code text,
    error_message text,
    body_excerpt text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    with pending as materialized (
        select i.id, i.request_id, i.queued_at, i.server_epoch = autosync.server_epoch() as same_epoch
        from autosync.invocation as i
        where i.outcome = 'pending'
        order by i.id
        limit max_rows
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
            when r.error_msg is not null and (r.timed_out or r.error_msg ilike 'timeout%') then 'timed_out'
            when r.error_msg is not null then 'network_error'
            when r.status_code between 200 and 299 then 'ok'
            else 'http_error'
        end,
        r.status_code,
        autosync.excerpt((
            select h.value
            from pg_catalog.jsonb_each_text(r.headers) as h
            where lower(h.key) = 'sb-error-code'
            limit 1
        )),
        case
            when r.id is null and not p.same_epoch then 'the server restarted before an answer was kept'
            when r.id is null and q.id is null then 'pg_net no longer knows the request: expired, deleted or never sent'
            else autosync.excerpt(r.error_msg)
        end,
        autosync.excerpt(r.content)
    from pending as p
    left join response as r
        on r.id = p.request_id
        and r.created >= p.queued_at - interval '5 seconds'
        and p.same_epoch
    left join net.http_request_queue as q on q.id = p.request_id
$$;

revoke all on function autosync.pending_outcomes(integer) from public;

comment on function autosync.pending_outcomes(integer) is 'what pg_net knows of requests that are not settled yet';
