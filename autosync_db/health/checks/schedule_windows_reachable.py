"""Every enabled time window contains a tick of the job."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="schedules",
    scope="draining",
    claim="every enabled time window contains a tick of the job",
    remedy=ByYou(
        "give each another window or time zone: autosync-db schedules set ID", then="autosync-db schedules list"
    ),
    needs=("head_applied", "objects_current", "privileges_sufficient"),
)
