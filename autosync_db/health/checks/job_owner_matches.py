"""The job belongs to the role that maintains it."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="job",
    claim="the job belongs to the role that maintains it, and pg_cron runs jobs of that role",
    remedy="autosync-db repair job_owner_matches",
    needs=(
        "job_scheduled",
        "head_applied",
    ),
    repairable=True,
)
