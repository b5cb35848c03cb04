"""The function is deployed under its name."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosync_db.health import served_here
from autosync_db.health.model import Check
from autosync_db.remedies import ByYou


def _tell(findings: Sequence[Mapping[str, Any]]) -> str:
    is_own = any(facts.get("reason") == "own_url" for facts in findings)
    return "own_url" if is_own else served_here.tell(findings)


CHECK = Check(
    layer="function",
    scope="call",
    claim="the function is deployed under its name",
    remedy=ByYou("supabase functions deploy {function}", then="autosync-db jobs trigger {job}"),
    remedies={
        "own_url": ByYou("correct `url` of the job {job} in autosync.toml", then="autosync-db setup"),
        "local": ByYou(
            "put {function} into the folder of the local stack's functions (see: autosync-db local status)",
            then="autosync-db jobs trigger {job}",
        ),
        "this_machine": ByYou(
            "put {function} into the folder that functions are served from on this machine"
            " (supabase/functions, for supabase start)",
            then="autosync-db jobs trigger {job}",
        ),
    },
    tell=_tell,
    needs=("head_applied", "function_reached", "privileges_sufficient"),
    causes=("project_url_valid",),
)
