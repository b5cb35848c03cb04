"""The process that starts the jobs of pg_cron runs."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="cron",
    claim="the process that starts the jobs of pg_cron runs",
    remedy="# restart PostgreSQL (on Supabase: Project Settings > General > Restart project)",
)
