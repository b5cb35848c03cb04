"""No second job makes the same calls."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="job",
    claim="no second job makes the same calls",
    remedy="autosync-db repair job_unique",
    needs=("pg_cron_installed", "head_applied", "privileges_sufficient"),
    repairable=True,
)
