"""Every role that owns a cron job exists."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="every role that owns a cron job exists",
    remedy="autosync-db repair cron_job_roles_exist",
    needs=("pg_cron_installed", "privileges_sufficient"),
    repairable=True,
)
