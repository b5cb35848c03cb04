"""The process that starts the jobs waits for nobody."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="cron",
    claim="the process that starts the jobs waits for nobody",
    remedy="select pg_terminate_backend(<pid>); -- of the process named above",
    needs=("privileges_sufficient",),
)
