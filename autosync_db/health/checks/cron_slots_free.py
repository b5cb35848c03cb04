"""The connection, worker and slot that the next run of a job needs are free."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="cron",
    claim="the connection, worker and slot that the next run of a job needs are free",
    remedy=ByYou(
        "end sessions that are not needed with pg_terminate_backend(pid), or raise the limit named above; to list them:"
        " select pid, usename, application_name, state, backend_start from pg_stat_activity order by backend_start"
    ),
    needs=("pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
)
