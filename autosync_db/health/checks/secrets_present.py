"""The project URL and the credential of the calls are stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosync_db.credentials import store
from autosync_db.health.model import Check, Refusal, Restoration, Scene
from autosync_db.remedies import ByYou

_RESTORABLE = {store.PROJECT_URL, store.SERVICE_KEY}


def _tell(findings: Sequence[Mapping[str, Any]]) -> str:
    lacking = {facts["secret"]: facts for facts in findings if facts.get("reason") in {"missing", "blank"}}
    if any(facts.get("reason") == "repeated" for facts in findings):
        return "repeated"
    if lacking and all(facts.get("other") for facts in lacking.values()):
        return "other_name"
    if store.CRON_SECRET in lacking:
        return "cron_secret"
    is_known = lacking.get(store.PROJECT_URL, {}).get("is_known")
    if store.SERVICE_KEY in lacking:
        return "key" if is_known or store.PROJECT_URL not in lacking else "both"
    if store.PROJECT_URL in lacking:
        return "address" if is_known else ""
    return "named" if lacking else ""


def _draft(scene: Scene) -> list[Restoration | Refusal]:
    """Put address and key back from where the target has them."""
    lacking = [facts["secret"] for facts in scene.findings if facts.get("reason") in {"missing", "blank"}]
    others = [name for name in lacking if name not in _RESTORABLE]
    if not lacking:
        return [Refusal(scene.verdict.summary, "delete the wrong rows from public.pg_cron_secrets")]
    if others:
        return [Refusal(f"{name} is not known here", f"run: {_way(name)}") for name in others]
    from autosync_db.health import restoring

    return restoring.draft(scene, lacking)


def _way(name: str) -> str:
    if name == store.CRON_SECRET:
        return "autosync-db setup"
    return f"autosync-db secrets set {name} --from-file PATH"


CHECK = Check(
    layer="secrets",
    scope="call",
    claim="the project URL and the credential of the calls are stored",
    remedy="autosync-db setup --project-url URL",
    remedies={
        "address": "autosync-db repair secrets_present",
        "key": "autosync-db repair secrets_present --service-role-key-file PATH",
        "both": "autosync-db setup --project-url URL --service-role-key-file PATH",
        "named": "autosync-db secrets set {secret} --from-file PATH",
        "cron_secret": ByYou(
            "the function must have the same cron secret: setup makes another and says how to give it to the function",
            then="autosync-db setup",
        ),
        # under its old name it may serve somebody else
        "other_name": (
            "insert into public.pg_cron_secrets (name, secret)"
            " select '{secret}', s.secret from public.pg_cron_secrets as s where s.name = '{other}'"
        ),
        "repeated": ByYou(
            "delete the wrong rows from public.pg_cron_secrets and restore its primary key: alter table"
            " public.pg_cron_secrets add primary key (name)",
            then="autosync-db jobs trigger {job}",
        ),
    },
    tell=_tell,
    needs=("head_applied", "secrets_readable_by_job", "privileges_sufficient"),
    causes=("head_applied",),
    repair=_draft,
)
