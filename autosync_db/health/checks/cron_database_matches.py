"""Pg_cron reads the jobs of this database."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="pg_cron reads the jobs of this database",
    remedy="autosync-db verify --database-url URL  # of the database named above; or change the setting",
    needs=("pg_cron_preloaded", "privileges_sufficient"),
)
