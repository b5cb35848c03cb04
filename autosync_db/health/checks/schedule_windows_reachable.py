"""Every enabled time window contains a tick of the job."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="schedules",
    scope="draining",
    claim="every enabled time window contains a tick of the job",
    remedy="autosync-db schedules list",
    needs=(
        "head_applied",
        "privileges_sufficient",
    ),
)
