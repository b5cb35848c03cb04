"""The role as which the job makes its calls may use pg_net."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="net",
    claim="the role as which the job makes its calls may use pg_net",
    remedy="drop extension pg_net; -- drops queued requests too, then: autosync-db migrate",
    needs=(
        "head_applied",
        "pg_net_installed",
    ),
    causes=(
        "head_applied",
        "pg_net_installed",
    ),
)
