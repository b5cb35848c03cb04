-- auto_sync_claim(batch_size, lease): take the longest overdue schedules for one worker, and nobody else's.
-- requires: 0003
--
-- A row is claimable when it is enabled, due, inside its window, and not claimed or its lease has ended. next_run_at
-- stays as it is until the run is recorded, so a reader that knows no claims may still run a claimed schedule: use one
-- way or the other in a project. Security definer, because service_role may not use the schema autosync.
create or replace function public.auto_sync_claim(
    batch_size integer default 50,
    lease interval default interval '15 minutes'
)
returns setof public.auto_sync_schedules
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
-- whatever the statistics say, read the due end of the index in order and stop at the limit: a plan that collects and
-- sorts all that is due costs more the more there is
set enable_seqscan = off
set enable_bitmapscan = off
-- compiling takes longer than claiming
set jit = off
as $$
declare
    -- a constant for the planner, and the right time in a long transaction
    moment constant timestamptz := clock_timestamp();
begin
    if batch_size is null or batch_size < 1 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = pg_catalog.format('batch_size must be 1 or more, not %s', coalesce(cast(batch_size as text), 'null'));
    end if;
    if lease is null or lease < interval '0' then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = pg_catalog.format(
                'lease must be a time span of 0 or more, not %s', coalesce(cast(lease as text), 'null'));
    end if;

    return query
    with claimed as (
        update public.auto_sync_schedules as schedule
        set claim_id = gen_random_uuid(), claimed_at = moment, claim_expires_at = moment + lease
        -- an array and not a join: whatever the estimates, the rows are fetched by primary key
        where schedule.id = any (array(
            select due.id
            from public.auto_sync_schedules as due
            where due.enabled
                and greatest(due.next_run_at, due.claim_expires_at) <= moment
                and due.next_run_at <= moment
                and (
                    not due.time_window_enabled
                    or autosync.window_is_open(moment, due.time_window_start, due.time_window_end, due.timezone)
                )
            order by greatest(due.next_run_at, due.claim_expires_at)
            limit batch_size
            for update of due skip locked
        ))
        returning schedule.*
    )
    select claimed.* from claimed order by claimed.next_run_at, claimed.id;
end
$$;

comment on function public.auto_sync_claim(integer, interval) is
    'Claim up to batch_size due schedules until the lease ends; finish each with auto_sync_complete';

revoke all on function public.auto_sync_claim(integer, interval) from public;
do $$
declare
    role_name name;
begin
    for role_name in select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') loop
        execute pg_catalog.format('revoke all on function public.auto_sync_claim(integer, interval) from %I', role_name);
    end loop;
    for role_name in select rolname from pg_catalog.pg_roles where rolname = 'service_role' loop
        execute pg_catalog.format('grant execute on function public.auto_sync_claim(integer, interval) to %I', role_name);
    end loop;
end
$$;
