"""Pg_cron's history does not grow without end."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="retention",
    claim="pg_cron's history does not grow without end",
    remedy="autosync-db repair job_run_details_bounded",
    needs=(
        "privileges_sufficient",
        "head_applied",
        "pg_cron_installed",
        "pg_cron_not_blocked",
    ),
    repairable=True,
)
