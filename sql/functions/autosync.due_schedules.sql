-- due_schedules(max_rows): how many schedules could be claimed now, at most max_rows.
-- requires: 0003
-- What can be claimed is at the front of auto_sync_schedules_claimable_idx; read in its order without a condition on time,
-- whatever the statistics say, at most so many rows are touched, however many schedules are claimed or lie in the future.
create or replace function autosync.due_schedules(max_rows integer)
returns integer
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select cast(count(*) as integer)
    from (
        select s.next_run_at, greatest(s.next_run_at, s.claim_expires_at) as claimable_at
        from public.auto_sync_schedules as s
        where s.enabled
        order by greatest(s.next_run_at, s.claim_expires_at)
        limit due_schedules.max_rows
    ) as front
    where front.claimable_at <= now() and front.next_run_at is not null
$$;

revoke all on function autosync.due_schedules(integer) from public;

comment on function autosync.due_schedules(integer) is 'how many schedules could be claimed now';
