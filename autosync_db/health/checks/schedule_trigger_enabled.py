"""The trigger that computes next_run_at is in force."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="schedules",
    claim="the trigger that computes next_run_at is in force",
    remedy="autosync-db repair schedule_trigger_enabled",
    needs=("head_applied",),
    causes=("head_applied",),
    repairable=True,
)
