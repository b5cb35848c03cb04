"""No rotation of a secret was left unfinished."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    claim="no rotation of a secret was left unfinished",
    remedy="autosync-db rotate --resume",
    needs=("head_applied", "privileges_sufficient"),
    causes=("head_applied",),
    notable=True,
)
