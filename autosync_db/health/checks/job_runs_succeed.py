"""The newest run of the job did not fail."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="job",
    scope="job",
    claim="the newest run of the job did not fail",
    remedy=ByYou("fix the cause of the error", then="autosync-db jobs trigger {job}"),
    remedies={
        "startup": ByYou(
            "let fewer jobs begin in the same minute, or raise cron.max_running_jobs or max_worker_processes",
            then="autosync-db verify --wait 10m",
        ),
        "sequence": "select setval(pg_get_serial_sequence('{table}', 'id'), (select max(id) from {table}))",
        "connection": ByYou(
            "find what refused it (autosync-db explain job_can_connect); only pg_cron's next run clears it, not a call",
            then="autosync-db verify --wait 10m",
        ),
    },
    needs=("job_scheduled", "head_applied", "pg_cron_not_blocked", "privileges_sufficient"),
    causes=(
        "pg_net_installed",
        "pg_net_preloaded",
        "pg_net_usable_by_job",
        "secrets_present",
        "database_is_the_bound_one",
        "head_applied",
        "job_command_matches",
        "job_owner_matches",
        "job_can_connect",
        "secrets_clean",
        "secrets_readable_by_job",
        "project_url_valid",
        "server_writable",
        "cron_slots_free",
        "job_settings_bearable",
        "objects_current",
        "private_schema_is_ours",
        "settings_applied",
        "tables_not_locked",
    ),
)
