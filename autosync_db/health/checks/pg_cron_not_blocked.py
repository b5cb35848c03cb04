"""The process that starts the jobs waits for nobody."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="the process that starts the jobs waits for nobody",
    remedy="autosync-db repair pg_cron_not_blocked",
    needs=("privileges_sufficient",),
    repairable=True,
)
