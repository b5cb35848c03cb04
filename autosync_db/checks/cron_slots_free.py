"""Nothing that the job's next run needs is used up."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="cron",
    claim="nothing that the job's next run needs is used up",
    remedy="select pg_terminate_backend(<pid>); -- of what holds the slots named above; or raise the limit",
    needs=("pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
)
