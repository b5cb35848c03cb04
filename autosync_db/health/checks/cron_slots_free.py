"""Nothing that the next run of a job needs is used up."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="cron",
    claim="nothing that the next run of a job needs is used up",
    remedy=ByYou(
        "end what is not needed with pg_terminate_backend(pid), or raise the limit named above; who is there:"
        " select pid, usename, application_name, state, backend_start from pg_stat_activity order by backend_start"
    ),
    needs=("pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
)
