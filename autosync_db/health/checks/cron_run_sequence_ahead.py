"""The numbers that pg_cron gives to its next runs are free."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="the numbers that pg_cron gives to its next runs are free",
    remedy="autosync-db repair cron_run_sequence_ahead",
    needs=("pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
    repairable=True,
)
