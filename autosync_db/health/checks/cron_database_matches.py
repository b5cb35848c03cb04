"""Pg_cron reads the jobs of this database."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="cron",
    claim="pg_cron reads the jobs of this database",
    remedy=ByYou(
        "connect to the database named above, or let a superuser change cron.database_name and restart PostgreSQL",
        then="autosync-db verify --database-url URL",
    ),
    needs=("pg_cron_preloaded", "privileges_sufficient"),
)
