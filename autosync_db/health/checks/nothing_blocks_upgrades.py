"""Nothing depends on the objects of pg_cron and pg_net."""

import re

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Drop the views and functions that depend on pg_cron or pg_net."""
    objects = [item.object for item in scene.verdict.evidence]
    # the server itself quoted the names
    droppable = [name for name in objects if re.match(r"(?:materialized view|view|function) ", name)]
    found: list[Repair | Refusal] = [
        Refusal(f"{name} may belong to something that holds rows", "drop by hand what depends on the extension")
        for name in objects
        if name not in droppable
    ]
    if droppable:
        drops = [drafts.text(f"drop {name}") for name in droppable]
        sentence = f"drop {', '.join(droppable)}"
        found.insert(0, Repair(sentence, drops, destructive=True, as_owner=scene.acts_as_owner))
    return found


CHECK = Check(
    layer="migrations",
    claim="nothing depends on the objects of pg_cron and pg_net",
    remedy="autosync-db repair nothing_blocks_upgrades",
    needs=("head_applied", "pg_cron_installed", "pg_net_installed"),
    repair=_draft,
)
