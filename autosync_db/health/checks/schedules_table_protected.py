"""No API user sees or writes more of the schedules than the isolation mode allows."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="no API user sees or writes more of the schedules than the isolation mode allows",
    remedy="autosync-db repair schedules_table_protected",
    needs=("head_applied",),
    causes=("head_applied",),
    repairable=True,
)
