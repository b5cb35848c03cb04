-- starts: when jobs began since shortly before the oldest of the answers that are judged, among the newest 20,000 runs of all.
select n.jobid, n.start_time
from (select d.jobid, d.start_time from cron.job_run_details as d order by d.runid desc limit 20000) as n
where n.start_time >= (
        select min(a.created)
        from (
            select n.created
            from net._http_response as n
            where n.created between now() - interval '1 year' and now() + interval '1 hour'
            order by n.created desc
            limit 500
        ) as a
    ) - interval '1 minute'
order by n.start_time desc
limit 10000
