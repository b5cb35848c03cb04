"""Service_role can read, claim and complete schedules."""

from collections.abc import Iterator

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene

_PRIVATE = "sql/access/autosync.sql"


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Grant the function's role what it needs."""
    found: list[Repair | Refusal] = []
    if any("privileges" in facts for facts in scene.findings):
        found.append(drafts.protect_schedules(scene))
    ours, _ = drafts.functions_named(scene)
    # what is granted on the schema autosync and in it is one file
    private = [path for path in ours if path.startswith("sql/functions/autosync.")]
    if private or "autosync" in scene.named("schema"):
        grant = drafts.reapply(scene, [_PRIVATE])
        found.append(Repair("let service_role use the functions of the schema autosync that claiming needs", grant))
    ours = [path for path in ours if path not in private]
    if ours:
        grant = drafts.reapply(scene, ours)
        found.append(Repair("let service_role execute the functions that claim and complete schedules", grant))
    if "public" in scene.named("schema"):
        usage = drafts.text("grant usage on schema public to service_role")
        found.append(Repair("let service_role use the schema public", [usage], as_owner=scene.acts_as_owner))
    if "row_security" in scene.reasons:
        bypass, sentence = "alter role service_role bypassrls", "let service_role bypass row level security"
        found.append(_as_superuser(scene, sentence, bypass))
    return [*found, *_way_in(scene), *drafts.reset_settings(scene)]


def _way_in(scene: Scene) -> Iterator[Repair | Refusal]:
    """Let the role that the Data API logs in as reach the database, and become service_role."""
    if "login" in scene.reasons:
        login = "alter role authenticator login connection limit -1 valid until 'infinity'"
        yield _as_superuser(scene, "let the role authenticator log in", login)
    if "connect" in scene.reasons:
        connect = sql.SQL("grant connect on database {} to authenticator").format(
            sql.Identifier(scene.named("database")[0])
        )
        yield Repair("let the role authenticator connect", [connect], as_owner=scene.acts_as_owner)
    if "member" in scene.reasons:
        grant, sentence = "grant service_role to authenticator", "let the role authenticator become service_role"
        may_grant = scene.value(
            "select pg_has_role('service_role', 'member with admin option') or (r.rolcreaterole and %s)"
            " from pg_catalog.pg_roles as r where r.rolname = current_user",
            [scene.connection.info.server_version < 160000],
        )
        yield (
            Repair(sentence, [drafts.text(grant)], as_owner=scene.acts_as_owner)
            if may_grant
            else _as_superuser(scene, sentence, grant)
        )


def _as_superuser(scene: Scene, sentence: str, statement: str) -> Repair | Refusal:
    return (
        Repair(sentence, [drafts.text(statement)], as_owner=False)
        if scene.is_superuser
        else Refusal(f"only a superuser can {sentence}", f"as one run: {statement}")
    )


CHECK = Check(
    layer="schedules",
    claim="service_role can read, claim and complete schedules",
    remedy="autosync-db repair service_role_can_use_schedules",
    needs=("head_applied",),
    causes=("head_applied",),
    repair=_draft,
)
