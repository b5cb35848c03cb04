"""No foreign trigger, rule or constraint acts inside pg_cron."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Drop the triggers that are not pg_cron's own, and what else stands in its way."""
    dropped = drafts.drop_triggers(scene, "cron", ("job", "job_run_details"), "cron_job_cache_invalidate")
    return [*dropped, *drafts.drop_obstacles(scene)]


CHECK = Check(
    layer="cron",
    claim="no foreign trigger, rule or constraint acts inside pg_cron",
    remedy="autosync-db repair no_triggers_on_cron_tables",
    remedies={
        "out_of_reach": ByYou("drop trigger {trigger} on {table}", where="as {role}, the owner of the table"),
        **drafts.OBSTACLES,
    },
    repair=_draft,
)
