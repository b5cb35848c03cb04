-- schedules: how many are due and claimed by nobody, at most 10,000.
select cast(null as text) as subject, jsonb_build_object(
    'due', (
        select count(*)
        from (
            select
            from public.auto_sync_schedules as s
            where s.enabled and s.next_run_at <= now() and (s.claim_expires_at is null or s.claim_expires_at <= now())
            limit 10000
        ) as d
    )
) as facts
where not row_security_active('public.auto_sync_schedules')
