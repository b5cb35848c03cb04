"""The stored secrets hold no blanks and no invisible characters."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    claim="the stored secrets hold no blanks and no invisible characters",
    remedy="autosync-db repair secrets_clean",
    needs=("head_applied", "secrets_present"),
    repairable=True,
)
