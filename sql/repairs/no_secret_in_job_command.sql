-- no_secret_in_job_command: mask the keys in up to 200000 commands of pg_cron's history; return how many were masked.
-- Every batch reads past what the ones before it have masked, so they are large.
with found as (
    select d.runid
    from cron.job_run_details as d
    where autosync.holds_key(d.command)
    order by d.runid
    limit 200000
),
masked as (
    update cron.job_run_details as d
    set command = autosync.mask_keys(d.command)
    from found as f
    where d.runid = f.runid
    returning d.runid
)
select count(*) from masked;
