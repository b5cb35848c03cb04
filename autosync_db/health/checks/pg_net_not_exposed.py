"""Nobody but the platform can read the keys of queued requests."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="nobody but the platform can read the keys of queued requests",
    remedy="autosync-db repair pg_net_not_exposed",
    needs=("head_applied", "pg_net_installed", "privileges_sufficient"),
    causes=("pg_net_installed",),
    repairable=True,
)
