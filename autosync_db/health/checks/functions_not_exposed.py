"""No API user can execute a function that works with the secrets or the job."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Take the right to execute away from the roles of the Data API."""
    ours, foreign = drafts.functions_named(scene)
    found = []
    if ours:
        close = drafts.reapply(scene, ours)
        found.append(Repair("revoke the functions of this package from the roles of the API", close))
    if foreign:
        roles = scene.rows(
            "select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') order by 1"
        )
        callers = sql.SQL(", ").join([sql.SQL("public"), *(sql.Identifier(role) for (role,) in roles)])
        revoke = sql.SQL("revoke all on function {} from {}")
        found.append(
            Repair(
                f"revoke {', '.join(foreign)} from the roles of the API",
                [revoke.format(drafts.text(signature), callers) for signature in foreign],
                destructive=True,
                as_owner=scene.acts_as_owner,
            )
        )
    return found


CHECK = Check(
    layer="security",
    claim="no API user can execute a function that works with the secrets or the job",
    remedy="autosync-db repair functions_not_exposed",
    needs=("head_applied",),
    causes=("head_applied",),
    overlaps=("private_schema_is_ours",),
    repair=_draft,
)
