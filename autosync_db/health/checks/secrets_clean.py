"""The stored secrets hold no blanks and no invisible characters."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosync_db.credentials import store
from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene

_WAYS = {
    store.SERVICE_KEY: "autosync-db setup --service-role-key-file PATH",
    store.PROJECT_URL: "autosync-db setup --project-url URL",
    store.CRON_SECRET: "autosync-db rotate --from-file PATH",
}
_OF_OTHERS = "autosync-db secrets set {secret} --from-file PATH"


def _tell(findings: Sequence[Mapping[str, Any]]) -> str:
    """Choose the way of the first value that cleaning does not help."""
    spoiled = next((facts for facts in findings if facts.get("reason") == "spoiled"), None)
    if spoiled is None:
        return ""
    return str(spoiled["secret"]) if spoiled["secret"] in _WAYS else "spoiled"


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Take blanks and invisible characters off the stored values, without reading them."""
    found: list[Repair | Refusal] = []
    if any(facts.get("reason") is None for facts in scene.findings):
        sentence = "take blanks, line breaks and the word Bearer off the stored address and keys"
        # a rotation that ends in between would be undone: the old value, cleaned, would take the place of the new one
        alone = drafts.text("lock table autosync.secret_rotation in share row exclusive mode")
        found.append(Repair(sentence, [alone, *drafts.fixed("secrets_clean")]))
    for facts in scene.findings:
        if facts.get("reason") == "spoiled":
            name = facts["secret"]
            way = _WAYS.get(name, _OF_OTHERS).replace("{secret}", name)
            found.append(
                Refusal(f"{name} has characters that cannot be taken off: it was not copied whole", f"run: {way}")
            )
    return found


CHECK = Check(
    layer="secrets",
    claim="the stored secrets hold no blanks and no invisible characters",
    remedy="autosync-db repair secrets_clean",
    remedies={**_WAYS, "spoiled": _OF_OTHERS},
    tell=_tell,
    needs=("head_applied", "secrets_present"),
    repair=_draft,
)
