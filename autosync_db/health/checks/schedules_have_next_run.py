"""Every enabled schedule has a next run."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(_scene: Scene) -> list[Repair]:
    """Let the trigger compute what is missing."""
    sentence = "compute next_run_at for the enabled schedules that have none"
    return [Repair(sentence, drafts.fixed("schedules_have_next_run"), in_batches=True)]


CHECK = Check(
    layer="schedules",
    claim="every enabled schedule has a next run",
    remedy="autosync-db repair schedules_have_next_run",
    needs=("head_applied", "privileges_sufficient"),
    causes=("schedule_trigger_enabled",),
    repair=_draft,
)
