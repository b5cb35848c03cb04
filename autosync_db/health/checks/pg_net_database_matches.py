"""The worker of pg_net serves this database."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="the worker of pg_net serves this database",
    remedy=(
        "alter system set pg_net.database_name = 'postgres'; -- as a superuser, with this database's "
        "name, then restart PostgreSQL"
    ),
    needs=("pg_net_installed",),
)
