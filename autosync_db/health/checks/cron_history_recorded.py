"""Pg_cron writes down what it runs."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="pg_cron writes down what it runs",
    remedy="alter system set cron.log_run = on; -- as a superuser, then restart PostgreSQL",
    needs=("privileges_sufficient",),
)
