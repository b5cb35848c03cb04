"""Pg_cron knows the job."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair]:
    """Schedule the job, and register it first where autosync.job does not know it."""
    return [Repair(f"schedule the job {scene.job}", drafts.schedule_job(scene))]


CHECK = Check(
    layer="job",
    scope="job",
    claim="pg_cron knows the job",
    remedy="autosync-db repair job_scheduled",
    remedies={
        "watched": ByYou(
            "schedule it again where it was made, or remove its table from autosync.toml and run"
            " autosync-db jobs remove {job}",
            then="autosync-db verify",
        ),
    },
    needs=("pg_cron_installed", "privileges_sufficient"),
    causes=("pg_cron_installed", "head_applied"),
    # a cron job of another name does what it would do
    overlaps=("settings_applied",),
    repair=_draft,
)
