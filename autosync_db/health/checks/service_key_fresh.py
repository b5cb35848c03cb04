"""The service key is of the current kind and not old."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    claim="the service key is of the current kind and not old",
    remedy="autosync-db rotate --from-file PATH",
    needs=(
        "head_applied",
        "secrets_present",
        "secrets_readable_by_job",
    ),
)
