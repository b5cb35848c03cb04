-- auto_sync_complete(schedule_id, status, summary, claim_id): record a run, end its claim, return what comes next.
-- requires: 0003
--
-- With a claim_id the run counts only while that claim stands: a lease that ended is forgiven, a schedule that somebody
-- else has taken or finished since is not. The same claim completed again gets the same answer and changes nothing, so
-- whoever heard no answer may ask again. A summary that is too large is not kept; the run is. Refusals carry an HTTP
-- status for PostgREST: PT409 claim lost, PT404 no such schedule.
--
-- Security invoker, as auto_sync_claim is. Above READ COMMITTED it may raise 40001, as every update may: try again.
create or replace function public.auto_sync_complete(
    schedule_id uuid,
    status text,
    summary jsonb default null,
    claim_id uuid default null,
    out id uuid,
    out last_run_at timestamptz,
    out last_run_status text,
    out consecutive_failures integer,
    out next_run_at timestamptz
)
returns record
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    most_bytes constant integer := 16384;
    bytes constant integer := octet_length(cast(summary as text));
    kept jsonb := auto_sync_complete.summary;
begin
    if status is null or status not in ('success', 'partial', 'failed') then
        raise exception using
            errcode = 'check_violation',
            message = pg_catalog.format('status must be success, partial or failed, not %L', pg_catalog.left(status, 60)),
            schema = 'public', table = 'auto_sync_schedules', column = 'last_run_status',
            constraint = 'auto_sync_schedules_last_run_status_check';
    end if;
    if bytes > most_bytes then
        kept := jsonb_build_object('error', pg_catalog.format(
            'the summary was not kept: it has %s bytes, and at most %s are kept', bytes, most_bytes));
    end if;

    update public.auto_sync_schedules as schedule
    set
        -- not now(): two runs in one transaction are two runs
        last_run_at = clock_timestamp(),
        last_run_status = auto_sync_complete.status,
        last_run_summary = kept,
        claim_id = null,
        claimed_at = null,
        claim_expires_at = null,
        completed_claim_id = auto_sync_complete.claim_id
    where schedule.id = auto_sync_complete.schedule_id
        and (auto_sync_complete.claim_id is null or schedule.claim_id = auto_sync_complete.claim_id)
    returning schedule.id, schedule.last_run_at, schedule.last_run_status, schedule.consecutive_failures, schedule.next_run_at
    into id, last_run_at, last_run_status, consecutive_failures, next_run_at;
    if found then
        return;
    end if;

    select s.id, s.last_run_at, s.last_run_status, s.consecutive_failures, s.next_run_at
    into id, last_run_at, last_run_status, consecutive_failures, next_run_at
    from public.auto_sync_schedules as s
    where s.id = auto_sync_complete.schedule_id and s.completed_claim_id = auto_sync_complete.claim_id;
    if found then
        return;
    end if;

    if exists (select from public.auto_sync_schedules as s where s.id = auto_sync_complete.schedule_id) then
        raise exception using
            errcode = 'PT409',
            message = pg_catalog.format(
                'claim %s on schedule %s has lapsed: the schedule was claimed or completed by another since',
                auto_sync_complete.claim_id, auto_sync_complete.schedule_id),
            hint = 'Drop this result; claim with a lease that is longer than the work takes.';
    end if;
    raise exception using
        errcode = 'PT404',
        message = pg_catalog.format('schedule %s does not exist', coalesce(cast(schedule_id as text), 'null'));
end
$$;

comment on function public.auto_sync_complete(uuid, text, jsonb, uuid) is
    'Record a run of a claimed schedule: success, partial or failed; failures back off';

revoke all on function public.auto_sync_complete(uuid, text, jsonb, uuid) from public;
do $$
declare
    role_name name;
begin
    for role_name in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') loop
        execute pg_catalog.format(
            'revoke all on function public.auto_sync_complete(uuid, text, jsonb, uuid) from %I', role_name);
    end loop;
    for role_name in select rolname from pg_catalog.pg_roles where rolname = 'service_role' loop
        execute pg_catalog.format(
            'grant execute on function public.auto_sync_complete(uuid, text, jsonb, uuid) to %I', role_name);
    end loop;
end
$$;
