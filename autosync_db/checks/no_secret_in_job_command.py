"""No job holds a key in its text."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="secrets",
    claim="no job holds a key in its text",
    remedy=(
        "select cron.unschedule(<jobid>); -- for the jobid named above, as its owner, and delete from "
        "cron.job_run_details where jobid = <jobid>"
    ),
    needs=("pg_cron_installed",),
    causes=("pg_cron_installed",),
)
