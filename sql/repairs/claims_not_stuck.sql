-- claims_not_stuck: take back claims of over an hour ago, or of the future, that still block their schedules; return how many.
with stuck as (
    select s.id
    from public.auto_sync_schedules as s
    where s.enabled and s.next_run_at <= now() and s.claim_expires_at > now()
        and (s.claimed_at < now() - interval '1 hour' or s.claimed_at > now() + interval '1 minute' and s.claim_expires_at > now() + interval '1 hour')
    order by s.next_run_at
    limit 5000
    for update skip locked
),
freed as (
    update public.auto_sync_schedules as s
    set claim_id = null, claimed_at = null, claim_expires_at = null
    from stuck as k
    where s.id = k.id
    returning s.id
)
select count(*) from freed;
