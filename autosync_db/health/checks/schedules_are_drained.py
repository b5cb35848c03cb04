"""Schedules that are due have a job that drains them."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="schedules",
    claim="schedules that are due have a job that drains them",
    remedy=ByYou(
        'write drains = "auto_sync_schedules" into the table of the job in autosync.toml whose function runs them,'
        " or disable them",
        then="autosync-db setup",
    ),
    needs=("head_applied", "objects_current", "privileges_sufficient"),
    causes=("database_is_the_bound_one",),
)
