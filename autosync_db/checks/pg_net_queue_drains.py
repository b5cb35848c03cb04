"""No call waits in pg_net's queue for longer than its timeout and a minute."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="net",
    claim="no call waits in pg_net's queue for longer than its timeout and a minute",
    remedy="select net.wake();",
    needs=("head_applied", "pg_net_installed", "server_is_primary"),
    causes=(
        "pg_net_installed",
        "pg_net_preloaded",
        "pg_net_settings_valid",
        "pg_net_worker_running",
        "pg_net_database_matches",
        "pg_net_version_matches_library",
        "no_triggers_on_net_tables",
    ),
)
