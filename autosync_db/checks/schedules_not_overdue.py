"""No enabled schedule waits longer than three ticks, or 15 minutes."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="schedules",
    claim="no enabled schedule waits longer than three ticks, or 15 minutes",
    remedy="autosync-db schedules list --state overdue",
    needs=("head_applied",),
    causes=(
        "pg_cron_scheduler_running",
        "job_scheduled",
        "job_active",
        "job_schedule_matches",
        "job_ticks_on_time",
        "no_stuck_runs",
        "job_runs_succeed",
        "pg_net_worker_running",
        "pg_net_queue_drains",
        "project_url_reachable",
        "function_deployed",
        "function_accepts_key",
        "function_succeeds",
        "function_answers_in_time",
        "schedule_trigger_enabled",
        "service_role_can_use_schedules",
    ),
)
