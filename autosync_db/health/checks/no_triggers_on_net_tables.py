"""No trigger runs on the tables of pg_net."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="no trigger runs on the tables of pg_net",
    remedy="autosync-db repair no_triggers_on_net_tables",
    needs=("pg_net_installed",),
    repairable=True,
)
