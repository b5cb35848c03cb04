"""Every receiver of alerts accepts its messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou


def _tell(findings: Sequence[Mapping[str, Any]]) -> str:
    first: Mapping[str, Any] = next(iter(findings), {})
    if first.get("reason") in {"orphaned", "error"}:
        return str(first["reason"])
    return "of_job" if first.get("name") else ""


CHECK = Check(
    layer="job",
    claim="every receiver of alerts accepts its messages",
    remedy=ByYou(
        "make it accept messages again, or set another address: autosync-db alerts set {receiver}",
        then="autosync-db alerts test {receiver}",
    ),
    remedies={
        "of_job": ByYou(
            "make it accept messages again, or set another address: autosync-db alerts set {receiver} --job {name}",
            then="autosync-db alerts test {receiver} --job {name}",
        ),
        "orphaned": ByYou("its job was removed", then="autosync-db alerts delete {receiver} --removed"),
        "error": ByYou("fix the cause of the error", then="autosync-db verify --wait 10m"),
    },
    tell=_tell,
    needs=("head_applied", "privileges_sufficient"),
    causes=(
        "head_applied",
        "objects_current",
        "housekeeping_runs",
        "pg_net_installed",
        "pg_net_worker_running",
        "pg_net_queue_drains",
        "secrets_readable_by_job",
    ),
)
