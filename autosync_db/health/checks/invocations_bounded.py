"""The ledger keeps ticks no longer than it should."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="retention",
    claim="the ledger keeps ticks no longer than it should",
    remedy="autosync-db repair invocations_bounded",
    needs=("head_applied",),
    repairable=True,
)
