"""No run of the job has been going for five minutes."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="job",
    claim="no run of the job has been going for five minutes",
    remedy="autosync-db repair no_stuck_runs",
    needs=(
        "job_scheduled",
        "pg_cron_not_blocked",
    ),
    repairable=True,
)
