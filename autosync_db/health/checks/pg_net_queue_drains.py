"""No call waits in pg_net's queue for longer than its timeout and a minute."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="no call waits in pg_net's queue for longer than its timeout and a minute",
    remedy="autosync-db repair pg_net_queue_drains",
    needs=(
        "head_applied",
        "pg_net_installed",
        "server_is_primary",
        "privileges_sufficient",
        "secrets_readable_by_job",
    ),
    causes=(
        "pg_net_installed",
        "pg_net_preloaded",
        "pg_net_settings_valid",
        "pg_net_worker_running",
        "pg_net_database_matches",
        "pg_net_version_matches_library",
        "no_triggers_on_net_tables",
    ),
    repairable=True,
)
