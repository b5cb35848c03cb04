"""Every schedule that is claimed is completed."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="schedules",
    claim="every schedule that is claimed is completed",
    remedy="autosync-db runs",
    needs=("head_applied", "privileges_sufficient"),
    causes=("function_succeeds", "function_answers_in_time", "service_role_can_use_schedules"),
)
