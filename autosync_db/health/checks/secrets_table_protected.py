"""Only the owner and service_role can read the secrets."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene

_ACCESS = "sql/access/public.pg_cron_secrets.sql"
_VIEWS = """
with recursive reader as (
    select 'public.pg_cron_secrets'::regclass::oid as oid
    union
    select w.ev_class
    from reader as r
    join pg_catalog.pg_depend as d
        on d.refclassid = 'pg_class'::regclass and d.refobjid = r.oid and d.classid = 'pg_rewrite'::regclass
    join pg_catalog.pg_rewrite as w on w.oid = d.objid
)
select distinct v.oid::regclass::text, case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
from reader as r
join pg_catalog.pg_class as v on v.oid = r.oid and v.relkind in ('v', 'm')
left join pg_catalog.pg_attribute as t on t.attrelid = v.oid and t.attacl is not null
cross join lateral aclexplode(coalesce(v.relacl, acldefault('r', v.relowner)) || coalesce(t.attacl, '{}')) as a
left join pg_catalog.pg_roles as o on o.oid = a.grantee
where a.grantee <> v.relowner
    and coalesce(o.rolname, '') not in ('service_role', 'supabase_admin')
    and not coalesce(o.rolsuper, false)
    and %s like '%%view ' || v.oid::regclass::text || ': %%'
order by 1, 2
"""


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Shut the secrets' table, the views on it, and the publications that send it out."""
    found: list[Repair | Refusal] = []
    if "table public.pg_cron_secrets: " in scene.findings or "policy " in scene.findings:
        shut = drafts.reapply(scene, [_ACCESS])
        sentence = "let only the owner and service_role at the secrets"
        found.append(drafts.dropping_policies(scene, "public.pg_cron_secrets", sentence, shut))
    # the server itself quoted the names
    views = scene.rows(_VIEWS, [scene.findings])
    if views:
        revokes = [drafts.text(f"revoke all on {view} from {role}") for view, role in views]
        sentence = f"take {', '.join(sorted({view for view, _ in views}))} away from other roles"
        found.append(Repair(sentence, revokes, destructive=True, as_owner=scene.acts_as_owner))
    return [*found, *_publications(scene)]


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
            f"take the secrets out of the publication {name}",
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
    needs=("head_applied", "privileges_sufficient"),
    repair=_draft,
)
