"""The role as which the job makes its calls may use pg_net."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="the role as which the job makes its calls may use pg_net",
    remedy="autosync-db repair pg_net_usable_by_job",
    needs=(
        "head_applied",
        "pg_net_installed",
        "objects_current",
    ),
    causes=(
        "head_applied",
        "pg_net_installed",
    ),
    repairable=True,
)
