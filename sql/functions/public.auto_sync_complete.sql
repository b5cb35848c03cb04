-- auto_sync_complete(schedule_id, status, summary, claim_id): record a run, end its claim, return the schedule.
-- requires: 0003
--
-- With a claim_id the run counts only while that claim stands: a lease that ended is forgiven, a schedule that somebody
-- else has taken or finished since is not. Refusals carry an HTTP status for PostgREST: PT409 claim lost, PT404 no such
-- schedule. Security definer, as auto_sync_claim is.
create or replace function public.auto_sync_complete(
    schedule_id uuid,
    status text,
    summary jsonb default null,
    claim_id uuid default null
)
returns public.auto_sync_schedules
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    completed public.auto_sync_schedules;
begin
    if status is null or status not in ('success', 'partial', 'failed') then
        raise exception using
            errcode = 'check_violation',
            message = pg_catalog.format('status must be success, partial or failed, not %L', status),
            schema = 'public', table = 'auto_sync_schedules', column = 'last_run_status',
            constraint = 'auto_sync_schedules_last_run_status_check';
    end if;

    update public.auto_sync_schedules as schedule
    set
        -- not now(): two runs in one transaction are two runs
        last_run_at = clock_timestamp(),
        last_run_status = auto_sync_complete.status,
        last_run_summary = auto_sync_complete.summary,
        claim_id = null,
        claimed_at = null,
        claim_expires_at = null
    where schedule.id = auto_sync_complete.schedule_id
        and (auto_sync_complete.claim_id is null or schedule.claim_id = auto_sync_complete.claim_id)
    returning schedule.* into completed;
    if found then
        return completed;
    end if;

    if exists (select from public.auto_sync_schedules as schedule where schedule.id = auto_sync_complete.schedule_id) then
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
