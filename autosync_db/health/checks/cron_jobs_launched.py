"""Pg_cron starts active jobs."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="pg_cron starts active jobs",
    remedy="alter system set cron.launch_active_jobs = on; select pg_reload_conf(); -- as a superuser",
    needs=("privileges_sufficient",),
)
