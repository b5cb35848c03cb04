"""No job holds a key in its text."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    claim="no job holds a key in its text",
    remedy="autosync-db repair no_secret_in_job_command",
    needs=(
        "pg_cron_installed",
        "pg_cron_not_blocked",
        "privileges_sufficient",
    ),
    causes=("pg_cron_installed",),
    repairable=True,
)
