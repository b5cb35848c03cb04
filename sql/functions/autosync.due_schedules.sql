-- due_schedules(max_rows): how many schedules could be claimed now, at most max_rows.
-- requires: 0003
-- A tick asks in a session that has planned nothing yet, so a short query comes first, and mostly last: where fewer than
-- max_rows are due, or none of the first of them is taken, it has the number. Else the indexes of auto_sync_claim() are counted,
-- 2,000 schedules far: claimed ones stay in them until they have run, and a tick does not walk past all of them. What lies
-- behind is unknown, so the last one counts: a call finds out.
create or replace function autosync.due_schedules(max_rows integer)
returns integer
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
-- whatever the statistics say
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
as $$
declare
    seen integer;
    claimable integer;
begin
    select count(*), count(*) filter (where nearest.is_claimable)
    into seen, claimable
    from (
        select
            (s.claim_expires_at is null or s.claim_expires_at <= now())
            and (s.claim_retry_at is null or s.claim_retry_at <= now()) as is_claimable
        from public.auto_sync_schedules as s
        where s.enabled and s.next_run_at <= now()
        order by s.next_run_at
        limit due_schedules.max_rows
    ) as nearest;
    if seen < due_schedules.max_rows or claimable = seen then
        return claimable;
    end if;

    return least(due_schedules.max_rows, (
        select cast(count(*) as integer)
        from (
            select
            from (
                select r.next_run_at, r.claim_expires_at, row_number() over () as place
                from (
                    select s.next_run_at, s.claim_expires_at
                    from public.auto_sync_schedules as s
                    where s.enabled
                        and s.claim_retry_at is null
                        and date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00') <= now()
                    order by date_bin('1 minute', s.next_run_at, timestamptz '2000-01-01 00:00+00')
                    limit 2000
                ) as r
            ) as front
            where front.place = 2000
                or front.next_run_at <= now() and coalesce(front.claim_expires_at, '-infinity') <= now()
            limit due_schedules.max_rows
        ) as fresh
    ) + (
        select cast(count(*) as integer)
        from (
            select
            from public.auto_sync_schedules as s
            where s.enabled
                and s.claim_retry_at is not null
                and greatest(s.next_run_at, s.claim_retry_at) <= now()
                and coalesce(s.claim_expires_at, '-infinity') <= now()
            order by greatest(s.next_run_at, s.claim_retry_at)
            limit due_schedules.max_rows
        ) as again
    ));
end
$$;

revoke all on function autosync.due_schedules(integer) from public;

comment on function autosync.due_schedules(integer) is 'how many schedules could be claimed now';
