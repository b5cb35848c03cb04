"""The host name of the project URL has an address."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    scope="call",
    claim="the host name of the project URL has an address",
    remedy="autosync-db setup --project-url URL",
    remedies={"unanswered": "autosync-db jobs trigger {job}"},
    needs=(
        "pg_net_worker_running",
        "pg_net_queue_drains",
        "secrets_present",
        "job_scheduled",
        "job_active",
        "pg_cron_scheduler_running",
        "job_runs_succeed",
        "head_applied",
        "server_is_primary",
    ),
    causes=("project_url_valid",),
)
