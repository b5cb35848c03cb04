"""no_triggers_on_cron_tables: drop the triggers that are not pg_cron's own."""

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of foreign triggers inside pg_cron, as far as this role may act as the tables' owner."""
    return statement.drop_triggers(scene, "cron", ("job", "job_run_details"), "cron_job_cache_invalidate")
