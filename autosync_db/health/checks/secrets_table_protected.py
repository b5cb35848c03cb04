"""Only the owner and service_role can read the secrets."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="only the owner and service_role can read the secrets",
    remedy="autosync-db repair secrets_table_protected",
    needs=("head_applied", "privileges_sufficient"),
    repairable=True,
)
