"""Pg_cron records its runs."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="pg_cron records its runs",
    remedy="alter system set cron.log_run = on; -- as a superuser, then restart PostgreSQL",
    needs=("privileges_sufficient",),
)
