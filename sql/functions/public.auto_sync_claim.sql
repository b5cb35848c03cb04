-- auto_sync_claim(batch_size, lease): take due schedules for one worker, and nobody else's; organizations take turns.
-- requires: 0003
--
-- A row is claimable when it is enabled, due, inside its window, and not claimed or its lease has ended. next_run_at
-- stays as it is until the run is recorded, so a reader that knows no claims may still run a claimed schedule: use one
-- way or the other in a project.
--
-- First every organization with something due gets the same share, the longest overdue first; what is left of the batch
-- goes to the longest overdue, whosever they are. Rows without an organization count as one. Where more organizations
-- wait than a batch has places, the place to begin is drawn by lot, so that none is always last.
--
-- A schedule that was claimed twice without a result waits twice as long with each further claim, and is then handed out
-- alone: if it is what kills its worker, it kills no other's run. Where a whole batch of such schedules waits, the
-- function was at fault and not the schedule, and they come back in groups.
--
-- Security invoker: whoever is granted EXECUTE by mistake still has no right on the table. In a transaction above READ
-- COMMITTED a due row may have changed since the snapshot (40001): the claim is then empty, as if another had them all.
create or replace function public.auto_sync_claim(
    batch_size integer default 50,
    lease interval default interval '15 minutes'
)
returns table (
    id uuid,
    integration_id uuid,
    organization_id uuid,
    direction text,
    conflict_resolution text,
    only_online boolean,
    device_filter text,
    device_tags text[],
    frequency_minutes integer,
    last_run_at timestamptz,
    last_run_status text,
    next_run_at timestamptz,
    claim_id uuid,
    claim_expires_at timestamptz,
    claims_since_run integer
)
language plpgsql
volatile
security invoker
set search_path = pg_catalog, pg_temp
-- whatever the statistics say, read the index in order and stop at the limit: a plan that collects and sorts all that is
-- due costs more the more there is. So each query below asks for the order of the one index that it is meant to read.
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set enable_incremental_sort = off
-- compiling takes longer than claiming
set jit = off
-- planning takes longer than that, too, and every plan is the same
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    -- a constant for the planner, and the right time in a long transaction
    moment constant timestamptz := clock_timestamp();
    this_minute constant timestamptz := date_bin('1 minute', moment, timestamptz '2000-01-01 00:00+00');
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

    -- The short way, for one of those that are due since a minute or more: in the first minute, from a place among the
    -- organizations that is drawn by lot. One statement and no subtransaction, which READ COMMITTED has no need of. Where
    -- somebody waits for another try, or the window there is shut, or all that is there is taken, the walks look on.
    if batch_size = 1 and pg_catalog.current_setting('transaction_isolation') = 'read committed' then
        with front as materialized (
            select k.minute, k.time_window, k.organization,
                (not s.time_window_enabled
                    or autosync.window_is_open(moment, s.time_window_start, s.time_window_end, s.timezone)) as is_open
            from public.auto_sync_schedules as s
            cross join lateral (
                select date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
                    case when s.time_window_enabled
                        then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end as time_window,
                    coalesce(uuid_hash_extended(s.organization_id, 0), 0) as organization
            ) as k
            where s.enabled and s.claim_retry_at is null and k.minute < this_minute
                and (s.claim_expires_at is null or s.claim_expires_at <= moment)
            order by k.minute, k.time_window, k.organization, s.next_run_at
            limit 1
        ),
        place as materialized (
            select k.organization
            from public.auto_sync_schedules as s
            cross join lateral (
                select date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
                    case when s.time_window_enabled
                        then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end as time_window,
                    coalesce(uuid_hash_extended(s.organization_id, 0), 0) as organization
            ) as k
            where s.enabled and s.claim_retry_at is null
                and k.minute = (select f.minute from front as f where f.is_open)
                and k.time_window = (select f.time_window from front as f)
                and k.organization > (select uuid_hash_extended(gen_random_uuid(), 0))
                and (s.claim_expires_at is null or s.claim_expires_at <= moment)
            order by k.organization, s.next_run_at
            limit 1
        )
        update public.auto_sync_schedules as schedule
        set claim_id = gen_random_uuid(), claimed_at = moment, claim_expires_at = moment + lease,
            claims_since_run = schedule.claims_since_run + 1,
            claim_retry_at = case when schedule.claims_since_run > 0 then
                moment + greatest(lease, least(interval '1 day',
                    least(lease, interval '1 day') * power(2, least(schedule.claims_since_run, 20))))
            end
        where schedule.id = (
            select s.id
            from public.auto_sync_schedules as s
            cross join lateral (
                select date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
                    case when s.time_window_enabled
                        then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end as time_window,
                    coalesce(uuid_hash_extended(s.organization_id, 0), 0) as organization
            ) as k
            where s.enabled and s.claim_retry_at is null
                and not exists (
                    select
                    from public.auto_sync_schedules as r
                    where r.enabled and r.claim_retry_at is not null and greatest(r.next_run_at, r.claim_retry_at) <= moment
                )
                and k.minute = (select f.minute from front as f where f.is_open)
                and k.time_window = (select f.time_window from front as f)
                and k.organization >= coalesce((select p.organization from place as p), (select f.organization from front as f))
                and s.next_run_at <= moment
                and (s.claim_expires_at is null or s.claim_expires_at <= moment)
                and (not s.time_window_enabled
                    or autosync.window_is_open(moment, s.time_window_start, s.time_window_end, s.timezone))
            order by k.organization, s.next_run_at
            limit 1
            for no key update of s skip locked
        )
        returning schedule.id, schedule.integration_id, schedule.organization_id, schedule.direction, schedule.conflict_resolution,
            schedule.only_online, schedule.device_filter, schedule.device_tags, schedule.frequency_minutes, schedule.last_run_at,
            schedule.last_run_status, schedule.next_run_at, schedule.claim_id, schedule.claim_expires_at, schedule.claims_since_run
        into id, integration_id, organization_id, direction, conflict_resolution, only_online, device_filter, device_tags,
            frequency_minutes, last_run_at, last_run_status, next_run_at, claim_id, claim_expires_at, claims_since_run;
        if found then
            return next;
            return;
        end if;
    end if;

    declare
        most_steps constant integer := 1000;
        taken uuid[] := array[]::uuid[];
        -- turns: a minute, the hash of a time window and that of an organization, and whether it is the organization's first
        minutes timestamptz[] := array[]::timestamptz[];
        windows integer[] := array[]::integer[];
        organizations bigint[] := array[]::bigint[];
        firsts boolean[] := array[]::boolean[];
        -- where a walk begins, and what it found
        after_minute timestamptz := '-infinity';
        after_window integer := 0;
        after_organization bigint := 0;
        walked record;
        front record;
        place bigint;
        is_around boolean := false;
        -- 1: from a place that was drawn by lot; 2: from the beginning again
        lap integer := 0;
        share integer;
        waiting integer := 0;
        is_asked boolean;
    begin
        -- those that came back from two claims or more: one call in four is theirs, one in two where a whole batch waits; and
        -- one that somebody wants to run now, which make_due() put before them
        select count(*), coalesce(bool_or(r.is_asked), false) into waiting, is_asked
        from (
            select s.next_run_at = s.claim_retry_at as is_asked
            from public.auto_sync_schedules as s
            where s.enabled and s.claim_retry_at is not null and greatest(s.next_run_at, s.claim_retry_at) <= moment
            order by greatest(s.next_run_at, s.claim_retry_at)
            limit batch_size
        ) as r;
        for attempt in 1 .. 2 loop
            if waiting > 0 and (attempt = 2 or is_asked or random() < case when waiting = batch_size then 0.5 else 0.25 end) then
                taken := array(
                    select s.id
                    from public.auto_sync_schedules as s
                    where s.enabled and s.claim_retry_at is not null and greatest(s.next_run_at, s.claim_retry_at) <= moment
                        and s.next_run_at <= moment and (s.claim_expires_at is null or s.claim_expires_at <= moment)
                        and (not s.time_window_enabled
                            or autosync.window_is_open(moment, s.time_window_start, s.time_window_end, s.timezone))
                    order by greatest(s.next_run_at, s.claim_retry_at)
                    limit case when waiting = batch_size then greatest(1, batch_size / 4) else 1 end
                    for no key update skip locked
                );
            end if;
            exit when attempt = 2 or cardinality(taken) > 0;

            -- The short way, for a whole batch: where as many organizations as it has places wait in the first minute, one
            -- of each, from a place that is drawn by lot. What others hold is made up for by those that come next. It reads
            -- minutes that are over: of those each schedule is due.
            if batch_size between 2 and most_steps then
                select k.minute, k.time_window,
                    (not s.time_window_enabled
                        or autosync.window_is_open(moment, s.time_window_start, s.time_window_end, s.timezone)) as is_open
                into front
                from public.auto_sync_schedules as s
                cross join lateral (
                    select date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
                        case when s.time_window_enabled
                            then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end as time_window,
                        coalesce(uuid_hash_extended(s.organization_id, 0), 0) as organization
                ) as k
                where s.enabled and s.claim_retry_at is null and k.minute < this_minute
                    and (s.claim_expires_at is null or s.claim_expires_at <= moment)
                order by k.minute, k.time_window, k.organization, s.next_run_at
                limit 1;
                place := uuid_hash_extended(gen_random_uuid(), 0);
                after_organization := place;
                for walk_number in 1 .. 5 loop
                    exit when front.is_open is not true or cardinality(taken) = batch_size;
                    -- once around, from the place back to it
                    with recursive walk as (
                        select after_organization as organization, is_around, cast(null as uuid) as id, 0 as steps
                        union all
                        select x.organization, x.is_around, x.id, w.steps + 1
                        from walk as w
                        cross join lateral (
                            (
                                select k.organization, w.is_around, s.id
                                from public.auto_sync_schedules as s
                                cross join lateral (
                                    select date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
                                        case when s.time_window_enabled
                                            then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end as time_window,
                                        coalesce(uuid_hash_extended(s.organization_id, 0), 0) as organization
                                ) as k
                                where s.enabled and s.claim_retry_at is null
                                    and k.minute = front.minute and k.time_window = front.time_window
                                    and k.organization > w.organization
                                    and k.organization <= case when w.is_around then place else 9223372036854775807 end
                                    and (s.claim_expires_at is null or s.claim_expires_at <= moment)
                                order by k.organization, s.next_run_at
                                limit 1
                            )
                            union all
                            (
                                select k.organization, true, s.id
                                from public.auto_sync_schedules as s
                                cross join lateral (
                                    select date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
                                        case when s.time_window_enabled
                                            then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end as time_window,
                                        coalesce(uuid_hash_extended(s.organization_id, 0), 0) as organization
                                ) as k
                                where not w.is_around
                                    and s.enabled and s.claim_retry_at is null
                                    and k.minute = front.minute and k.time_window = front.time_window
                                    and k.organization <= place
                                    and (s.claim_expires_at is null or s.claim_expires_at <= moment)
                                order by k.organization, s.next_run_at
                                limit 1
                            )
                            limit 1
                        ) as x
                        where w.steps < batch_size - cardinality(taken)
                    )
                    select
                        array(
                            select s.id
                            from public.auto_sync_schedules as s
                            where s.id = any (array(select w.id from walk as w))
                                and (select max(w.steps) from walk as w) = batch_size - cardinality(taken)
                                and s.enabled and s.claim_retry_at is null and s.next_run_at <= moment
                                and (s.claim_expires_at is null or s.claim_expires_at <= moment)
                                and (not s.time_window_enabled
                                    or autosync.window_is_open(moment, s.time_window_start, s.time_window_end, s.timezone))
                            -- without statistics the planner takes the index on what is due, and reads all of it
                            order by s.id
                            for no key update skip locked
                        ) as ids,
                        (select w.organization from walk as w where w.steps = batch_size - cardinality(taken)) as organization,
                        (select bool_or(w.is_around) from walk as w) as is_around
                    into walked;
                    exit when cardinality(walked.ids) = 0;
                    taken := taken || walked.ids;
                    after_organization := walked.organization;
                    is_around := walked.is_around;
                end loop;
                exit when cardinality(taken) = batch_size;
                after_organization := 0;
            end if;

            -- five walks at most: a claim ends soon, whatever stands in the way
            for walk_number in 1 .. 5 loop
                -- from one (minute, window, organization) to the next, and past a window that is shut in one step
                with recursive walk as (
                    select after_minute as minute, after_window as time_window, after_organization as organization,
                        true as is_open, false as is_turn, false as is_first, array[]::bigint[] as met, 0 as steps
                    union all
                    select x.minute, x.time_window, x.organization, x.is_open, x.is_open and x.next_run_at <= moment,
                        x.organization <> all (w.met),
                        case when x.is_open and x.next_run_at <= moment and x.organization <> all (w.met)
                            then w.met || x.organization else w.met end,
                        w.steps + 1
                    from walk as w
                    cross join lateral (
                        select date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
                            case when s.time_window_enabled
                                then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end as time_window,
                            coalesce(uuid_hash_extended(s.organization_id, 0), 0) as organization,
                            s.next_run_at,
                            (not s.time_window_enabled
                                or autosync.window_is_open(moment, s.time_window_start, s.time_window_end, s.timezone)) as is_open
                        from public.auto_sync_schedules as s
                        where s.enabled and s.claim_retry_at is null
                            and (
                                date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00'),
                                case when s.time_window_enabled
                                    then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end,
                                coalesce(uuid_hash_extended(s.organization_id, 0), 0)
                            ) > (w.minute, w.time_window, case when w.is_open then w.organization else 9223372036854775807 end)
                            and date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') <= this_minute
                            -- the first walk leaves that to the reading of the rows, which it is enough to do once
                            and (lap = 0 or s.claim_expires_at is null or s.claim_expires_at <= moment)
                        order by 1, 2, 3, 4
                        limit 1
                    ) as x
                    where w.steps < most_steps and cardinality(w.met) < batch_size
                )
                -- in the order of the walk, and said so: from PostgreSQL 16 on another aggregate's order is an unordered one's, too
                select array_agg(w.minute order by w.steps) filter (where w.is_turn) as minutes,
                    array_agg(w.time_window order by w.steps) filter (where w.is_turn) as windows,
                    array_agg(w.organization order by w.steps) filter (where w.is_turn) as organizations,
                    array_agg(w.is_first order by w.steps) filter (where w.is_turn) as firsts,
                    max(w.steps) as steps, max(cardinality(w.met)) as met,
                    (array_agg(w.minute order by w.steps desc))[1] as last_minute,
                    (array_agg(w.time_window order by w.steps desc))[1] as last_window,
                    (array_agg(w.organization order by w.steps desc))[1] as last_organization
                into walked
                from walk as w;

                minutes := coalesce(walked.minutes, minutes[1:0]);
                windows := coalesce(walked.windows, windows[1:0]);
                organizations := coalesce(walked.organizations, organizations[1:0]);
                firsts := coalesce(walked.firsts, firsts[1:0]);
                if walked.met = batch_size and lap = 0 then
                    -- more organizations wait than there are places: begin anywhere in the first minute
                    lap := 1;
                    after_minute := walked.minutes[1];
                    after_window := walked.windows[1];
                    after_organization := uuid_hash_extended(gen_random_uuid(), 0);
                    continue;
                end if;

                -- to each organization its share, then to any what is left
                share := case lap
                    when 0 then (batch_size - cardinality(taken) + walked.met - 1) / greatest(walked.met, 1) else 1 end;
                for round in 1 .. case lap when 1 then 1 else 2 end loop
                    exit when cardinality(taken) = batch_size or cardinality(minutes) = 0;
                    taken := taken || array(
                        select r.id
                        from unnest(organizations, firsts) with ordinality as o (organization, is_first, position)
                        cross join lateral (
                            select s.id
                            from unnest(minutes, windows, organizations) as w (minute, time_window, organization)
                            cross join lateral (
                                select s.id
                                from public.auto_sync_schedules as s
                                cross join lateral (
                                    select date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') as minute,
                                        case when s.time_window_enabled
                                            then hashtext(s.timezone || cast(s.time_window_start as text) || cast(s.time_window_end as text)) else 0 end as time_window,
                                        coalesce(uuid_hash_extended(s.organization_id, 0), 0) as organization
                                ) as k
                                where s.enabled and s.claim_retry_at is null
                                    -- equal, too, but written as a list: what is equal to a constant would be no part of the
                                    -- order, and the index of next_run_at would do
                                    and k.minute = any (array[w.minute])
                                    and k.time_window = w.time_window
                                    and k.organization = w.organization
                                    and s.next_run_at <= moment
                                    and (s.claim_expires_at is null or s.claim_expires_at <= moment)
                                    and (not s.time_window_enabled
                                        or autosync.window_is_open(moment, s.time_window_start, s.time_window_end, s.timezone))
                                    and s.id <> all (taken)
                                order by k.minute, s.next_run_at
                                limit case round when 1 then share else batch_size end
                                for no key update of s skip locked
                            ) as s
                            where round = 2 or w.organization = o.organization
                            limit case round when 1 then share else batch_size end
                        ) as r
                        where case round when 1 then o.is_first else o.position = 1 end
                        limit batch_size - cardinality(taken)
                    );
                end loop;
                exit when cardinality(taken) = batch_size;
                if walked.steps = most_steps or walked.met = batch_size then
                    after_minute := walked.last_minute;
                    after_window := walked.last_window;
                    after_organization := walked.last_organization;
                    -- nothing but shut windows so far: the last walk looks at what has become due just now, and is not claimed
                    if walk_number = 4 and cardinality(taken) = 0 and after_minute < this_minute - interval '10 minutes' then
                        after_minute := this_minute - interval '10 minutes';
                        after_window := -2147483648;
                        lap := 1;
                    end if;
                elsif lap = 1 then
                    lap := 2;
                    after_minute := '-infinity';
                else
                    exit;
                end if;
            end loop;
            exit when cardinality(taken) > 0;
        end loop;

        return query
        with claimed as (
            update public.auto_sync_schedules as schedule
            set claim_id = gen_random_uuid(), claimed_at = moment, claim_expires_at = moment + lease,
                claims_since_run = schedule.claims_since_run + 1,
                claim_retry_at = case when schedule.claims_since_run > 0 then
                    moment + greatest(lease, least(interval '1 day',
                        least(lease, interval '1 day') * power(2, least(schedule.claims_since_run, 20))))
                end
            -- an array and not a join: whatever the estimates, the rows are fetched by primary key
            where schedule.id = any (taken)
            returning schedule.*
        )
        select c.id, c.integration_id, c.organization_id, c.direction, c.conflict_resolution, c.only_online, c.device_filter,
            c.device_tags, c.frequency_minutes, c.last_run_at, c.last_run_status, c.next_run_at, c.claim_id,
            c.claim_expires_at, c.claims_since_run
        from claimed as c
        order by c.next_run_at, c.id;
    exception
        when serialization_failure then
            return;
    end;
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
