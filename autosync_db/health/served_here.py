"""Whether what serves a project's functions runs on this machine: its remedies are others than a hosted project's."""

from collections.abc import Mapping, Sequence
from typing import Any

from autosync_db import config


def tell(findings: Sequence[Mapping[str, Any]]) -> str:
    """Return `local` for the local stack of this folder, `this_machine` for another one, empty for a hosted project.

    The findings have the `local_port` of a project URL that points to the machine itself.
    """
    port = next((facts["local_port"] for facts in findings if facts.get("local_port")), None)
    if port is None:
        return ""
    return "local" if port == config.local_port() else "this_machine"
