"""Every role that owns a cron job exists."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="cron",
    claim="every role that owns a cron job exists",
    remedy='create role "ROLE" login; -- the one named above; then unschedule its jobs as that role and drop it',
    needs=("pg_cron_installed", "privileges_sufficient"),
    repairable=True,
)
