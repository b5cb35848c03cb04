"""The role with which the job reads the secrets can read them."""

from psycopg import sql

from autosync_db import sql_names
from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Let the owner of autosync.read_secret() read the secrets."""
    reader, keeper, caller = scene.rows(
        "select pg_get_userbyid(p.proowner), pg_get_userbyid(c.relowner), pg_get_userbyid(d.proowner)"
        " from pg_catalog.pg_proc as p, pg_catalog.pg_class as c, pg_catalog.pg_proc as d"
        " where p.oid = 'autosync.read_secret(text)'::regprocedure and c.oid = 'public.pg_cron_secrets'::regclass"
        " and d.oid = 'autosync.dispatch(text, boolean)'::regprocedure"
    )[0]
    if scene.named("view"):
        return [_open_vault(scene, reader)]
    if reader != keeper:
        return [_give_back(scene, reader, keeper, caller)]
    statements: list[sql.Composable] = []
    if any(facts["reason"] == "privilege" and "table" in facts for facts in scene.findings):
        grant = sql.SQL("grant select on table public.pg_cron_secrets to {}").format(sql.Identifier(reader))
        statements.append(grant)
    if scene.named("schema"):
        statements.append(sql.SQL("grant usage on schema public to {}").format(sql.Identifier(reader)))
    if "forced_row_security" in scene.reasons:
        statements.append(drafts.text("alter table public.pg_cron_secrets no force row level security"))
    return [Repair(f"let {reader}, with which the job reads the secrets, read them", statements)]


def _give_back(scene: Scene, reader: str, keeper: str, caller: str) -> Repair | Refusal:
    if caller == keeper and scene.may_act_as(reader) and scene.may_act_as(keeper):
        owner = sql.SQL("alter function autosync.read_secret(text) owner to {}").format(sql.Identifier(keeper))
        return Repair(f"give autosync.read_secret() back to {keeper}, who owns the secrets", [owner], as_owner=False)
    return Refusal(
        f"autosync.read_secret() belongs to {reader}, the secrets to {keeper}",
        f"as a superuser run: alter function autosync.read_secret(text) owner to {sql_names.identifier(keeper)}",
    )


def _open_vault(scene: Scene, reader: str) -> Repair | Refusal:
    if "undecryptable" in scene.reasons:
        return Refusal("the vault can no longer decrypt its secrets", "store them again: autosync-db setup")
    if "missing" in scene.reasons:
        return Refusal("the secrets were put into a vault that is gone", "store them again: autosync-db setup")
    name = sql.Identifier(reader)
    grants = [
        sql.SQL("grant usage on schema vault to {}").format(name),
        sql.SQL("grant select on table vault.decrypted_secrets to {}").format(name),
    ]
    if scene.is_superuser:
        return Repair(f"let {reader}, with which the job reads the secrets, read the vault", grants, as_owner=False)
    text = "; ".join(grant.as_string() for grant in grants)
    return Refusal(f"the vault is not {scene.me}'s to open to {reader}", f"as its owner or a superuser run: {text};")


CHECK = Check(
    layer="secrets",
    claim="the role with which the job reads the secrets can read them",
    remedy="autosync-db repair secrets_readable_by_job",
    remedies={
        "foreign_reader": ByYou(
            "alter function autosync.read_secret(text) owner to the role that owns public.pg_cron_secrets",
            where="as a superuser",
        ),
        "undecryptable": ByYou(
            "the vault lost its key: store the secrets again",
            then="autosync-db setup --project-url URL --service-role-key-file PATH",
        ),
        "missing": ByYou(
            "the vault is gone: enable it again (on Supabase: Integrations > Vault), and store the secrets again",
            then="autosync-db setup --project-url URL --service-role-key-file PATH",
        ),
    },
    needs=(
        "head_applied",
        "objects_current",
        "privileges_sufficient",
    ),
    causes=("head_applied",),
    repair=_draft,
)
