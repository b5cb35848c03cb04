"""The worker of pg_net serves this database."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="the worker of pg_net serves this database",
    remedy=("alter system set pg_net.database_name = '{database}'; -- as a superuser, then restart PostgreSQL"),
    needs=("pg_net_installed",),
)
