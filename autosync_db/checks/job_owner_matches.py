"""The job belongs to the role that maintains it."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="job",
    claim="the job belongs to the role that maintains it, and pg_cron runs jobs of that role",
    remedy=(
        "select cron.unschedule(jobid) from cron.job where jobname = 'auto-sync-cron-job'; -- as its "
        "owner or a superuser, then: autosync-db migrate"
    ),
    needs=(
        "job_scheduled",
        "head_applied",
    ),
)
