"""The other cron jobs of this database do not fail."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="neighbours",
    claim="the other cron jobs of this database do not fail",
    remedy=ByYou(
        "change that job as its owner; its runs: select * from cron.job_run_details order by runid desc limit 20"
    ),
    needs=("head_applied", "pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
    causes=(
        "cron_slots_free",
        "pg_net_installed",
    ),
)
