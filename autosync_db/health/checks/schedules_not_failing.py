"""No enabled schedule fails again and again."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="schedules",
    scope="draining",
    claim="no enabled schedule fails again and again",
    remedy=ByYou(
        "find the failure in the function's log, and fix it", then="autosync-db schedules list --state failing"
    ),
    needs=("head_applied", "objects_current", "privileges_sufficient"),
    causes=("function_succeeds", "function_accepts_key", "function_deployed"),
)
