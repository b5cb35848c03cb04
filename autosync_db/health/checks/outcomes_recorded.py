"""The outcome of the newest calls is known."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="net",
    scope="call",
    claim="the outcome of the newest calls is known",
    remedy="autosync-db jobs trigger {job}",
    remedies={
        "unwritten": ByYou(
            "see what keeps rows out of autosync.invocation, such as a trigger, a rule or somebody's clearing it",
            then="autosync-db jobs trigger {job}",
        ),
    },
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
        "pg_net_usable_by_job",
        "private_schema_is_ours",
    ),
)
