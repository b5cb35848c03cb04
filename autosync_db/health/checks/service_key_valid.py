"""The stored service key has a valid form: right kind, right role, not expired."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    scope="call",
    claim="the stored service key has a valid form: right kind, right role, not expired",
    remedy="autosync-db setup --service-role-key-file PATH",
    needs=(
        "head_applied",
        "secrets_present",
        "privileges_sufficient",
        "secrets_readable_by_job",
    ),
    causes=("secrets_clean",),
)
