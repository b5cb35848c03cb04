"""No run of the job has been going for five minutes."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="job",
    claim="no run of the job has been going for five minutes",
    remedy=(
        "select pg_cancel_backend(a.pid) from pg_stat_activity as a join cron.job_run_details as d on "
        "d.job_pid = a.pid join cron.job as c on c.jobid = d.jobid where c.jobname = "
        "'auto-sync-cron-job' and d.status = 'running' and d.start_time < now() - interval '5 minutes' "
        "and a.application_name like 'pg\\_cron%';"
    ),
    needs=("job_scheduled",),
)
