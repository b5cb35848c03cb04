"""Nothing that the next run of a job needs is used up."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="nothing that the next run of a job needs is used up",
    remedy=(
        "select pid, usename, application_name, state, backend_start from pg_stat_activity order by backend_start;"
        " -- end what is not needed with pg_terminate_backend(pid), or raise the limit named above"
    ),
    needs=("pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
)
