"""nothing_blocks_upgrades: drop the views and functions that depend on pg_cron or pg_net."""

import re

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of dependent objects that hold no rows; tables are left to whoever owns them."""
    objects = [item.object for item in scene.result.verdict.evidence]
    # the server itself quoted the names
    droppable = [name for name in objects if re.match(r"(?:materialized view|view|function) ", name)]
    found: list[Repair | Refusal] = [
        Refusal(f"{name} may belong to something that holds rows", "drop by hand what depends on the extension")
        for name in objects
        if name not in droppable
    ]
    if droppable:
        drops = [statement.text(f"drop {name}") for name in droppable]
        sentence = f"drop {', '.join(droppable)}"
        found.insert(0, Repair(sentence, drops, destructive=True, as_owner=scene.acts_as_owner))
    return found
