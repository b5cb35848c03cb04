"""The numbers that pg_cron gives to its next runs are free."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="cron",
    claim="the numbers that pg_cron gives to its next runs are free",
    remedy=(
        "truncate cron.job_run_details; -- drops the history; a superuser keeps it with:"
        " select setval('cron.runid_seq', max(runid)) from cron.job_run_details"
    ),
    needs=("pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
)
