"""The settings of role and database let the next run of the jobs finish."""

from collections.abc import Sequence

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> Sequence[Repair | Refusal]:
    """Take the settings back that the next run cannot bear."""
    found = drafts.reset_settings(scene)
    return found or [Refusal("a password's end is not changed from here", "alter role ROLE valid until 'infinity'")]


CHECK = Check(
    layer="job",
    claim="the settings of role and database let the next run of the jobs finish",
    remedy="autosync-db repair job_settings_bearable",
    needs=("pg_cron_installed", "head_applied", "privileges_sufficient"),
    causes=("server_writable",),
    repair=_draft,
)
