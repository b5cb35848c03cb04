"""Every function that works with the secrets or the job pins its search_path."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Pin where functions look names up."""
    ours, foreign = drafts.functions_named(scene)
    found = []
    if ours:
        found.append(Repair("pin the search_path of the functions of this package", drafts.reapply(scene, ours)))
    if foreign:
        usual = "pg_catalog, public"
        if scene.value("select to_regnamespace('extensions') is not null"):
            usual += ", extensions"
        pins = [
            sql.SQL("alter function {} set search_path = {}").format(
                drafts.text(signature), drafts.text(f"{_path(scene, signature) or usual}, pg_temp")
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


CHECK = Check(
    layer="security",
    claim="every function that works with the secrets or the job pins its search_path",
    remedy="autosync-db repair search_path_pinned",
    needs=("head_applied",),
    causes=("head_applied",),
    overlaps=("private_schema_is_ours",),
    repair=_draft,
)
