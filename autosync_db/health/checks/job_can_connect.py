"""Pg_cron can connect as the job's role to the job's database."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="job",
    claim="pg_cron can connect as the job's role to the job's database",
    remedy="autosync-db repair job_can_connect",
    needs=(
        "job_scheduled",
        "pg_cron_not_blocked",
    ),
    causes=("cron_slots_free",),
    repairable=True,
)
