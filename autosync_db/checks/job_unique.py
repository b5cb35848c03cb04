"""No second job makes the same calls."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="job",
    claim="no second job makes the same calls",
    remedy="select cron.unschedule(<jobid>); -- for the jobid named above, as its owner",
    needs=("pg_cron_installed", "head_applied", "privileges_sufficient"),
    repairable=True,
)
