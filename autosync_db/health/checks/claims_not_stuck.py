"""No claim keeps a due schedule from being run for over an hour."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="schedules",
    claim="no claim keeps a due schedule from being run for over an hour",
    remedy="autosync-db repair claims_not_stuck",
    needs=("head_applied", "privileges_sufficient"),
    repairable=True,
)
