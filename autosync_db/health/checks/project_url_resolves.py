"""The host name of the project URL has an address."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="net",
    scope="call",
    claim="the host name of the project URL has an address",
    remedy="autosync-db setup --project-url URL",
    remedies={
        "unanswered": "autosync-db jobs trigger {job}",
        "reached_since": "autosync-db jobs trigger {job}",
        "own_url": ByYou("correct `url` of the job {job} in autosync.toml", then="autosync-db setup"),
    },
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
