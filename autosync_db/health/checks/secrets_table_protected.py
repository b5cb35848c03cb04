"""Only the owner and service_role can read the secrets."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene

_ACCESS = "sql/access/public.pg_cron_secrets.sql"


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Close the secrets' table, the views on it, and the publications that send it out."""
    found = drafts.hold_roles(scene)
    if any("table" in facts and facts["reason"] != "publication" for facts in scene.findings):
        close = drafts.reapply(scene, [_ACCESS])
        sentence = "let only the owner and service_role at the secrets"
        found.append(drafts.dropping_policies(scene, "public.pg_cron_secrets", sentence, close))
    views = [(facts["view"], facts["role"]) for facts in scene.findings if "view" in facts]
    if views:
        found.append(drafts.revoke_views(scene, views, "other roles"))
    return [*found, *_publications(scene), *_triggers(scene)]


def _triggers(scene: Scene) -> list[Repair]:
    names = scene.named("trigger")
    drop = sql.SQL("drop trigger {} on public.pg_cron_secrets")
    sentence = f"drop the trigger {', '.join(names)}; what it has copied stays where it is"
    drops = [drop.format(sql.Identifier(name)) for name in names]
    return [Repair(sentence, drops, destructive=True, as_owner=scene.acts_as_owner)] if names else []


def _publications(scene: Scene) -> list[Repair | Refusal]:
    rows = scene.rows(
        "select p.pubname, exists (select from pg_catalog.pg_publication_rel as r join pg_catalog.pg_publication as b"
        " on b.oid = r.prpubid where b.pubname = p.pubname and r.prrelid = 'public.pg_cron_secrets'::regclass)"
        " from pg_catalog.pg_publication_tables as p"
        " where p.schemaname = 'public' and p.tablename = 'pg_cron_secrets' order by 1"
    )
    drop = sql.SQL("alter publication {} drop table public.pg_cron_secrets")
    return [
        Repair(
            f"remove the secrets from the publication {name}",
            [drop.format(sql.Identifier(name))],
            destructive=True,
            as_owner=scene.acts_as_owner,
        )
        if is_listed
        else Refusal(
            f"the publication {name} sends out whole schemas", f"drop publication {sql.Identifier(name).as_string()};"
        )
        for name, is_listed in rows
    ]


CHECK = Check(
    layer="security",
    claim="only the owner and service_role can read the secrets",
    remedy="autosync-db repair secrets_table_protected",
    remedies={"member": drafts.ROLES["member"]},
    needs=("head_applied", "privileges_sufficient"),
    # both tables belong to the same role
    overlaps=("schedules_table_protected",),
    repair=_draft,
)
