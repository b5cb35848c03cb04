"""The extension pg_cron is installed in this database."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="the extension pg_cron is installed in this database",
    remedy="autosync-db repair pg_cron_installed",
    causes=("head_applied", "pg_cron_preloaded", "cron_database_matches"),
    repairable=True,
)
