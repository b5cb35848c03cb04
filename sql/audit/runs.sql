-- runs: how the newest runs of every job ended, among the newest 20,000 of all, however many there are.
-- A restart or an unscheduling during a run is no failure. Times are NULL where a run could not connect.
with newest as (
    select d.jobid, d.runid, d.status, d.return_message, d.start_time, coalesce(d.end_time, d.start_time) as ended_at
    from cron.job_run_details as d
    order by d.runid desc
    limit 20000
),
ended as (
    select n.jobid, n.status, n.return_message, n.ended_at, row_number() over (partition by n.jobid order by n.runid desc) as age
    from newest as n
    where n.status in ('succeeded', 'failed') and coalesce(n.return_message, '') not in ('server restarted', 'job canceled')
),
success as (
    select e.jobid, min(e.age) as age from ended as e where e.status = 'succeeded' group by e.jobid
),
judged as (
    select e.jobid, count(*) as runs,
        count(*) filter (where e.age < coalesce(s.age, 20001)) as failed_in_a_row,
        count(*) filter (where e.age <= 10 and e.status = 'failed') as failed_of_ten,
        min(e.ended_at) filter (where e.age < coalesce(s.age, 20001)) as failing_since,
        (array_agg(e.return_message order by e.age) filter (where e.status = 'failed'))[1] as message
    from ended as e
    left join success as s on s.jobid = e.jobid
    group by e.jobid
),
started as (
    select n.jobid, max(n.start_time) as last_start, (array_agg(n.status order by n.runid desc))[1] as last_status
    from newest as n
    group by n.jobid
)
select t.jobid, coalesce(j.runs, 0) as runs, coalesce(j.failed_in_a_row, 0) as failed_in_a_row, coalesce(j.failed_of_ten, 0) as failed_of_ten,
    j.failing_since, left(split_part(coalesce(j.message, ''), E'\n', 1), 1000) as message, t.last_start, t.last_status,
    (select min(n.start_time) from newest as n) as since
from started as t
left join judged as j on j.jobid = t.jobid
