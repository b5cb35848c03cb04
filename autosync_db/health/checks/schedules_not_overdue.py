"""No enabled schedule waits longer than three ticks, or 15 minutes."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="schedules",
    scope="draining",
    claim="no enabled schedule waits longer than three ticks, or 15 minutes",
    remedy=ByYou(
        "see why the function leaves them: autosync-db schedules list --state overdue, and its log",
        then="autosync-db jobs trigger {job}",
    ),
    needs=("head_applied", "objects_current", "privileges_sufficient"),
    causes=(
        "pg_cron_scheduler_running",
        "job_scheduled",
        "job_active",
        "job_schedule_matches",
        "job_ticks_on_time",
        "no_stuck_runs",
        "job_runs_succeed",
        "secrets_present",
        "database_is_the_bound_one",
        "secrets_clean",
        "secrets_readable_by_job",
        "pg_net_worker_running",
        "pg_net_queue_drains",
        "project_url_reachable",
        "function_deployed",
        "function_accepts_key",
        "function_succeeds",
        "function_answers_in_time",
        "schedule_trigger_enabled",
        "service_role_can_use_schedules",
        "server_writable",
        "cron_database_matches",
        "cron_run_sequence_ahead",
        "pg_cron_not_blocked",
        "no_triggers_on_cron_tables",
        "cron_jobs_launched",
        "cron_slots_free",
    ),
)
