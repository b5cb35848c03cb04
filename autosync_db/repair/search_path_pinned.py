"""search_path_pinned: pin where functions look names up."""

from psycopg import sql

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of unpinned functions; those of the project go on finding what they find now, as a rule."""
    ours, foreign = statement.functions_named(scene)
    found = []
    if ours:
        found.append(Repair("pin the search_path of the functions of this package", statement.reapply(scene, ours)))
    if foreign:
        usual = "pg_catalog, public"
        if scene.value("select to_regnamespace('extensions') is not null"):
            usual += ", extensions"
        pins = [
            sql.SQL("alter function {} set search_path = {}").format(
                statement.text(signature), statement.text(f"{_path(scene, signature) or usual}, pg_temp")
            )
            for signature in foreign
        ]
        sentence = f"pin the search_path of {', '.join(foreign)}"
        found.append(Repair(sentence, pins, destructive=True, as_owner=scene.acts_as_owner))
    return found


def _path(scene: Scene, signature: str) -> str | None:
    """Return the path that a function has already, as the server writes it."""
    path = scene.value(
        "select substring(c.setting, '^search_path=(.*)$') from pg_catalog.pg_proc as p"
        " cross join lateral unnest(p.proconfig) as c (setting)"
        " where p.oid = %s::regprocedure and c.setting like 'search\\_path=%%'",
        [signature],
    )
    return "pg_catalog" if path == '""' else path
