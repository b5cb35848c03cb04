"""Pg_cron can connect as the job's role to the job's database."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="job",
    claim="pg_cron can connect as the job's role to the job's database",
    remedy=("select cron.unschedule('auto-sync-cron-job'); select autosync.sync_job('auto-sync-cron-job');"),
    needs=("job_scheduled",),
    causes=("cron_slots_free",),
)
