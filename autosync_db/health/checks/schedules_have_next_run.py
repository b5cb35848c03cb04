"""Every enabled schedule has a next run, which comes in time."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Let the trigger compute what is missing, or far too late."""
    found = []
    if any("reason" not in facts for facts in scene.findings):
        sentence = "compute next_run_at for the enabled schedules that have none"
        found.append(Repair(sentence, drafts.fixed("schedules_have_next_run"), in_batches=True))
    if "far" in scene.reasons:
        again = [*drafts.fixed("schedules_too_late_off"), *drafts.fixed("schedules_too_late_on")]
        sentence = (
            "compute next_run_at again for the enabled schedules that wait longer than frequency and window explain"
        )
        found.append(Repair(sentence, again, in_batches=True))
    return found


CHECK = Check(
    layer="schedules",
    claim="every enabled schedule has a next run, which comes in time",
    remedy="autosync-db repair schedules_have_next_run",
    needs=("head_applied", "objects_current", "privileges_sufficient"),
    causes=("schedule_trigger_enabled",),
    repair=_draft,
)
