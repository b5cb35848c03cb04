"""The schema is at the newest revision of this version."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="migrations",
    claim="the schema is at the newest revision of this version",
    remedy="autosync-db migrate",
    needs=("privileges_sufficient",),
    causes=("cron_database_matches",),
)
