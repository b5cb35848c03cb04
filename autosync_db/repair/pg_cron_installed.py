"""pg_cron_installed: create the extension and schedule every registered job."""

from psycopg import sql

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement

_PATHS = ("sql/extensions/pg_cron.sql", "sql/jobs/auto-sync-cron-job.sql")


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of a missing pg_cron, with which all jobs went, or of one whose owner may not write its jobs."""
    if "is not installed" not in scene.findings:
        return [_grant(scene)]
    return [Repair("create the extension pg_cron and schedule the registered jobs", statement.reapply(scene, _PATHS))]


def _grant(scene: Scene) -> Repair | Refusal:
    owner = str(scene.value("select pg_get_userbyid(extowner) from pg_catalog.pg_extension where extname = 'pg_cron'"))
    grant = sql.SQL("grant insert, update, delete on table cron.job to {}").format(sql.Identifier(owner))
    if scene.is_superuser:
        return Repair(f"let {owner}, who owns the extension, write the jobs", [grant], as_owner=False)
    way = f"as one (on Supabase the support) run: {grant.as_string()};"
    return Refusal(f"only a superuser can let {owner}, who owns the extension, write the jobs", way)
