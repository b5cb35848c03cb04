"""Every enabled schedule has a next run."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="schedules",
    claim="every enabled schedule has a next run",
    remedy="autosync-db repair schedules_have_next_run",
    needs=("head_applied", "privileges_sufficient"),
    causes=("schedule_trigger_enabled",),
    repairable=True,
)
