"""The stored project URL is an address that pg_net can call."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosync_db.credentials import store
from autosync_db.health.model import Check, Refusal, Restoration, Scene


def _tell(findings: Sequence[Mapping[str, Any]]) -> str:
    return "known" if any(facts.get("is_known") for facts in findings) else ""


def _draft(scene: Scene) -> list[Restoration | Refusal]:
    """Put the address back that the target names, or that a call has proven."""
    from autosync_db.health import restoring

    return restoring.draft(scene, [store.PROJECT_URL])


CHECK = Check(
    layer="secrets",
    claim="the stored project URL is an address that pg_net can call",
    remedy="autosync-db setup --project-url URL",
    remedies={"known": "autosync-db repair project_url_valid"},
    tell=_tell,
    needs=("head_applied", "secrets_present"),
    causes=("secrets_clean",),
    repair=_draft,
)
