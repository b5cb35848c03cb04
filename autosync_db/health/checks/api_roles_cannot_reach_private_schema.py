"""No role of the Data API can use the schema autosync."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="no role of the Data API can use the schema autosync",
    remedy="autosync-db repair api_roles_cannot_reach_private_schema",
    needs=("head_applied",),
    causes=("head_applied",),
    repairable=True,
)
