"""The extension pg_cron is installed in this database."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene

_PATHS = ("sql/extensions/pg_cron.sql", "sql/jobs/auto-sync-cron-job.sql")


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Create the extension and schedule every registered job."""
    if "missing" not in scene.reasons:
        return [_grant(scene)]
    return [Repair("create the extension pg_cron and schedule the registered jobs", drafts.reapply(scene, _PATHS))]


def _grant(scene: Scene) -> Repair | Refusal:
    owner = str(scene.value("select pg_get_userbyid(extowner) from pg_catalog.pg_extension where extname = 'pg_cron'"))
    grant = sql.SQL("grant insert, update, delete on table cron.job to {}").format(sql.Identifier(owner))
    if scene.is_superuser:
        return Repair(f"let {owner}, who owns the extension, write the jobs", [grant], as_owner=False)
    way = f"as one (on Supabase the support) run: {grant.as_string()};"
    return Refusal(f"only a superuser can let {owner}, who owns the extension, write the jobs", way)


CHECK = Check(
    layer="cron",
    claim="the extension pg_cron is installed in this database",
    remedy="autosync-db repair pg_cron_installed",
    causes=("head_applied", "pg_cron_preloaded", "cron_database_matches"),
    repair=_draft,
)
