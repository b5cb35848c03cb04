-- kept_runs: how far back pg_cron's history reaches, by its oldest 1000 runs: one that could not connect has no time.
select 'cron.job_run_details' as table, min(o.start_time) as oldest_at
from (select d.start_time from cron.job_run_details as d order by d.runid limit 1000) as o
