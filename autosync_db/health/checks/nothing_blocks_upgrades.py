"""Nothing depends on the objects of pg_cron and pg_net."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene

_WITHOUT_ROWS = {"view", "materialized view", "function", "procedure"}


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Drop the views and functions that depend on pg_cron or pg_net."""
    objects = {f"{facts['kind']} {facts['identity']}": facts["kind"] for facts in scene.findings if "kind" in facts}
    # the server itself quoted the names
    droppable = [name for name, kind in objects.items() if kind in _WITHOUT_ROWS]
    found: list[Repair | Refusal] = [
        Refusal(
            f"the extension {facts['extension']} has no way to version {facts['library_version']}",
            "install the package that holds the scripts between, or drop the extension and create it again",
        )
        for facts in scene.findings
        if facts.get("reason") == "no_path"
    ]
    found += [
        Refusal(f"{name} may belong to something that holds rows", "drop what depends on the extension yourself")
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
