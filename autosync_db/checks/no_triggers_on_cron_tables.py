"""No trigger of anybody else's runs inside pg_cron."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="cron",
    claim="no foreign trigger runs inside pg_cron",
    remedy="drop trigger <trigger> on cron.job_run_details; -- the one named above, as the role that owns the table",
)
