"""The job is switched on, or was paused on purpose."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair]:
    """Switch the job on again."""
    return [Repair("switch the job on again", drafts.schedule_job(scene))]


CHECK = Check(
    layer="job",
    scope="job",
    claim="the job is switched on, or was paused on purpose",
    remedy="autosync-db repair job_active",
    remedies={
        "watched": ByYou(
            "switch it on where it was made, or take it over with autosync-db jobs adopt {job}",
            then="autosync-db verify",
        ),
    },
    needs=("job_scheduled", "head_applied", "privileges_sufficient"),
    repair=_draft,
    notable=True,
)
