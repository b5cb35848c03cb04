"""The extension pg_net and its library agree on how the worker is woken."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="the extension pg_net and its library agree on how the worker is woken",
    remedy="autosync-db repair pg_net_version_matches_library",
    needs=(
        "pg_net_installed",
        "pg_net_worker_running",
    ),
    repairable=True,
)
