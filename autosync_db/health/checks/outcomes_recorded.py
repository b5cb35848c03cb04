"""What became of the newest calls is known."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    scope="call",
    claim="what became of the newest calls is known",
    remedy="autosync-db jobs trigger {job}",
    needs=(
        "head_applied",
        "pg_net_installed",
        "server_is_primary",
        "privileges_sufficient",
        "secrets_readable_by_job",
    ),
    causes=(
        "housekeeping_runs",
        "pg_net_installed",
        "pg_net_settings_valid",
    ),
)
