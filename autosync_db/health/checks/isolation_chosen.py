"""Which schedules API users see was chosen."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="which schedules API users see was chosen",
    remedy="autosync-db migrate",
    needs=("head_applied",),
    causes=("head_applied",),
)
