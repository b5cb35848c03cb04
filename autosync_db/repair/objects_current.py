"""objects_current: apply the files again whose objects are missing or outdated, and those that were edited by hand."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement
from autosync_db.schema import objects, revisions
from autosync_db.schema.objects import State


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of objects that are not as their files say; an edit by hand is lost by it."""
    states = objects.states(scene.connection, revisions.current(scene.connection), scene.configuration.isolation)
    named = {path: state for path, state in states.items() if f"({path})" in scene.findings}
    edited = [path for path, state in named.items() if state is State.EDITED]
    others = [path for path, state in named.items() if state is not State.EDITED and path != statement.SCHEDULES_ACCESS]
    # its text is older, or another mode was chosen
    found = [statement.protect_schedules(scene)] if statement.SCHEDULES_ACCESS in named else []
    if others:
        found.append(Repair(f"apply {', '.join(others)}", statement.reapply(scene, others)))
    if edited:
        sentence = f"overwrite what was edited by hand with {', '.join(edited)}"
        found.append(Repair(sentence, statement.reapply(scene, edited), destructive=True))
    return found
