"""An organization's schedules can only have its own integrations."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="an organization's schedules can only have its own integrations",
    remedy="autosync-db migrate",
    needs=("head_applied",),
    causes=("head_applied",),
)
