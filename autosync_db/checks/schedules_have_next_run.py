"""Every enabled schedule has a next run."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="schedules",
    claim="every enabled schedule has a next run",
    remedy="update public.auto_sync_schedules set updated_at = now() where enabled and next_run_at is null",
    needs=("head_applied",),
    causes=("schedule_trigger_enabled",),
    repairable=True,
)
