"""The role that the job reads the secrets as can read them."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    claim="the role that the job reads the secrets as can read them",
    remedy="autosync-db repair secrets_readable_by_job",
    needs=(
        "head_applied",
        "privileges_sufficient",
    ),
    causes=("head_applied",),
    repairable=True,
)
