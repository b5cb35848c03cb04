"""Somebody has chosen which schedules API users see."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="somebody has chosen which schedules API users see",
    remedy="autosync-db migrate",
    needs=("head_applied",),
    causes=("head_applied",),
)
