-- cron_run_sequence_ahead: the next run's number must be free, or pg_cron's launcher dies when it records that run. So must be the
-- next job's, or no job can be made.
-- The newest number comes from the end of the primary key's index.
select 'critical' as status, 'sequence cron.runid_seq' as object,
    format('its next value is %s, but runs up to %s are recorded: pg_cron fails at each of its next %s starts of a job, at most',
        q.next, d.newest, d.newest - q.next + 1) as detail,
    jsonb_build_object('sequence', 'cron.runid_seq', 'next_run_id', q.next, 'newest_run_id', d.newest) as facts
from (select s.last_value + s.is_called::integer as next from cron.runid_seq as s) as q
cross join (select max(r.runid) as newest from cron.job_run_details as r) as d
where q.next <= d.newest
union all
-- a restore or an upgrade that leaves the one behind leaves the other behind, too
select 'warning', 'sequence cron.jobid_seq',
    format('its next value is %s, but jobs up to %s exist: up to %s of the next new jobs are refused, with setup and repair', q.next, d.newest,
        d.newest - q.next + 1),
    jsonb_build_object('sequence', 'cron.jobid_seq', 'next_job_id', q.next, 'newest_job_id', d.newest)
from (select s.last_value + s.is_called::integer as next from cron.jobid_seq as s) as q
cross join (select max(c.jobid) as newest from cron.job as c) as d
where q.next <= d.newest
union all
select 'unknown', 'table cron.job_run_details', 'runs of other roles are not visible to this role',
    jsonb_build_object('reason', 'hidden', 'table', 'cron.job_run_details', 'role', current_user)
where row_security_active('cron.job_run_details')
