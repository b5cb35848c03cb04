"""Every schedule that is claimed is completed."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="schedules",
    claim="every schedule that is claimed is completed",
    remedy=ByYou(
        "let the function complete what it claims; its answers: autosync-db runs",
        then="autosync-db jobs trigger {job}",
    ),
    needs=("head_applied", "objects_current", "privileges_sufficient"),
    causes=(
        "function_succeeds",
        "function_answers_in_time",
        "schedule_trigger_enabled",
        "service_role_can_use_schedules",
    ),
)
