"""Pg_cron's history does not grow without end."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="retention",
    claim="pg_cron's history does not grow without end",
    remedy=(
        "delete from cron.job_run_details where runid in (select d.runid from cron.job_run_details as d "
        "order by d.runid limit 100000) and coalesce(end_time, start_time) < now() - interval '7 days'"
    ),
    needs=("head_applied", "pg_cron_installed"),
    repairable=True,
)
