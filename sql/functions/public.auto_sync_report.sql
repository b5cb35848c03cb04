-- auto_sync_report(idempotency_key, status, summary): what came of a call that its function accepted and worked on afterwards.
-- requires: 0005
-- For the function, by the Data API: the key is the Idempotency-Key header of the call. status is success, partial or failed;
-- of summary duration_ms, counts and error are kept. The same report again changes nothing. Refusals carry an HTTP status for
-- PostgREST: PT404 no such call, PT409 the call has ended otherwise. Security definer, because the ledger is out of the API's
-- reach; a key is random and known to the function alone, and the API's roles for users are turned away whatever a restore
-- granted them.
create or replace function public.auto_sync_report(idempotency_key uuid, status text, summary jsonb default null)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    call autosync.invocation;
    facts jsonb := autosync.answer_facts(cast(auto_sync_report.summary as text));
    wanted text;
begin
    if current_setting('role') in ('anon', 'authenticated') then
        raise exception 'only the function may report' using errcode = 'insufficient_privilege';
    end if;
    if auto_sync_report.status is null or auto_sync_report.status not in ('success', 'partial', 'failed') then
        raise exception 'status must be success, partial or failed, not %', quote_nullable(left(auto_sync_report.status, 40))
            using errcode = 'check_violation';
    end if;
    wanted := case auto_sync_report.status when 'failed' then 'failed' else 'ok' end;

    select i.* into call
    from autosync.invocation as i
    where i.idempotency_key = auto_sync_report.idempotency_key
    order by i.id desc
    limit 1
    for no key update;
    if not found then
        raise exception 'no call has the key %', coalesce(cast(auto_sync_report.idempotency_key as text), 'null')
            using errcode = 'PT404', hint = 'Send the Idempotency-Key header of the call.';
    end if;
    if call.reported_at is not null and call.outcome = wanted then
        return call.outcome;
    end if;
    if call.outcome not in ('pending', 'accepted') then
        raise exception 'the call with the key % has ended already: %', auto_sync_report.idempotency_key, call.outcome
            using errcode = 'PT409', hint = 'A report counts once, and only within reports_within of the job.';
    end if;
    if call.outcome = 'pending' then
        -- a report may come before housekeeping has looked, which looks at no call that has ended
        begin
            select o.status_code, o.sb_request_id, o.execution_id, clock_timestamp()
            into call.status_code, call.sb_request_id, call.execution_id, call.answered_at
            from autosync.pending_outcomes(array[call.id]) as o
            where o.outcome not in ('pending', 'lost');
        exception
            -- whatever state pg_net is in, the report counts
            when others then null;
        end;
    end if;
    update autosync.invocation as i
    set outcome = wanted,
        status_code = call.status_code,
        sb_request_id = call.sb_request_id,
        execution_id = call.execution_id,
        answered_at = call.answered_at,
        error_message = case wanted when 'failed' then autosync.excerpt(facts ->> 'error') end,
        body_excerpt = autosync.excerpt(cast(auto_sync_report.summary as text)),
        function_milliseconds = cast(facts ->> 'duration_ms' as integer),
        counts = facts -> 'counts',
        answered_by = 'function',
        proof = case wanted when 'ok' then 'stated' end,
        reported_at = clock_timestamp(),
        settled_at = clock_timestamp()
    where i.id = call.id;
    return wanted;
end
$$;

comment on function public.auto_sync_report(uuid, text, jsonb) is
    'Report what came of a call that was accepted: success, partial or failed';

revoke all on function public.auto_sync_report(uuid, text, jsonb) from public;
do $$
declare
    role_name name;
begin
    for role_name in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') loop
        execute pg_catalog.format('revoke all on function public.auto_sync_report(uuid, text, jsonb) from %I', role_name);
    end loop;
    for role_name in select rolname from pg_catalog.pg_roles where rolname = 'service_role' loop
        execute pg_catalog.format('grant execute on function public.auto_sync_report(uuid, text, jsonb) to %I', role_name);
    end loop;
end
$$;
