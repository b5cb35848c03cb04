"""Pg_cron knows the job."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="job",
    claim="pg_cron knows the job",
    remedy="autosync-db repair job_scheduled",
    needs=("pg_cron_installed", "privileges_sufficient"),
    causes=("pg_cron_installed", "head_applied"),
    repairable=True,
)
