"""functions_not_exposed: take the right to execute away from the roles of the Data API."""

from psycopg import sql

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of functions that strangers may call: our own, and the project's that reach the secrets."""
    ours, foreign = statement.functions_named(scene)
    found = []
    if ours:
        close = statement.reapply(scene, ours)
        found.append(Repair("take the functions of this package away from the roles of the API", close))
    if foreign:
        roles = scene.rows(
            "select rolname from pg_catalog.pg_roles where rolname in ('anon', 'authenticated') order by 1"
        )
        strangers = sql.SQL(", ").join([sql.SQL("public"), *(sql.Identifier(role) for (role,) in roles)])
        revoke = sql.SQL("revoke all on function {} from {}")
        found.append(
            Repair(
                f"take {', '.join(foreign)} away from the roles of the API",
                [revoke.format(statement.text(signature), strangers) for signature in foreign],
                destructive=True,
                as_owner=scene.acts_as_owner,
            )
        )
    return found
