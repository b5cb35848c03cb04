"""The background worker that sends the requests of pg_net runs."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="the background worker that sends the requests of pg_net runs",
    remedy="autosync-db repair pg_net_worker_running",
    needs=("pg_net_installed", "privileges_sufficient"),
    causes=(
        "pg_net_installed",
        "pg_net_preloaded",
        "pg_net_settings_valid",
        "pg_net_database_matches",
        "no_triggers_on_net_tables",
        "server_is_primary",
        "server_writable",
    ),
    repairable=True,
)
