"""The extension pg_net is installed in this database."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="the extension pg_net is installed in this database",
    remedy="autosync-db repair pg_net_installed",
    causes=("head_applied",),
    repairable=True,
)
