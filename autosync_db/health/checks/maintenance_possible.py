"""The owner of our objects has the privileges for the next change of a job or of the schema."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Grant what is missing."""
    owner = scene.owner
    if not scene.is_superuser or owner is None:
        hint = "a superuser repairs it; on Supabase that is supabase_admin, through their support"
        return [Refusal("only the owner of the extension or a superuser can grant it", hint)]
    grants: list[sql.Composable] = []
    for facts in scene.findings:
        if "identity" in facts:
            # the server itself quoted the name
            name = drafts.text(facts["identity"])
            grants.append(sql.SQL("grant execute on function {} to {}").format(name, sql.Identifier(owner)))
        elif facts["privilege"] == "owner":
            grants.append(sql.SQL("alter schema autosync owner to {}").format(sql.Identifier(facts["role"])))
        elif "table" in facts:
            grants.append(sql.SQL("grant select, delete on cron.job_run_details to {}").format(sql.Identifier(owner)))
        else:
            what = sql.SQL("grant usage" if facts["privilege"] == "usage" else "grant create")
            grants.append(
                sql.SQL("{} on schema {} to {}").format(what, sql.Identifier(facts["schema"]), sql.Identifier(owner))
            )
    return [Repair(f"grant the role {owner} what it lacks", grants, as_owner=False)]


CHECK = Check(
    layer="job",
    claim="the owner of our objects has the privileges for the next change of a job or of the schema",
    remedy="autosync-db repair maintenance_possible",
    needs=("pg_cron_installed", "head_applied"),
    repair=_draft,
)
