"""Service_role can read, claim and complete schedules."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="schedules",
    claim="service_role can read, claim and complete schedules",
    remedy="autosync-db repair service_role_can_use_schedules",
    needs=("head_applied",),
    causes=("head_applied",),
    repairable=True,
)
