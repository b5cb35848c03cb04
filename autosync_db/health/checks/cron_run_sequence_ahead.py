"""The numbers that pg_cron gives to its next runs are free."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Move pg_cron's sequence past its history, or empty the history where that is not allowed."""
    role = scene.me if scene.is_superuser else scene.owner or scene.me
    may_set, may_draw, may_empty = scene.rows(
        "select has_sequence_privilege(%(role)s, 'cron.runid_seq', 'update'),"
        " has_sequence_privilege(%(role)s, 'cron.runid_seq', 'usage'),"
        " has_table_privilege(%(role)s, 'cron.job_run_details', 'truncate')",
        {"role": role},
    )[0]
    newest = sql.SQL("(select max(d.runid) from cron.job_run_details as d)")
    move = sql.SQL("select setval('cron.runid_seq', {})").format(newest)
    if may_set:
        return [Repair("move pg_cron's sequence past its history", [move], as_owner=scene.acts_as_owner)]
    if may_draw:
        draw = sql.SQL(
            "select max(nextval('cron.runid_seq'))"
            " from generate_series((select s.last_value from cron.runid_seq as s), {})"
        ).format(newest)
        return [Repair("draw pg_cron's sequence past its history", [draw], as_owner=scene.acts_as_owner)]
    if not may_empty:
        way = f"as a superuser run: {move.as_string()};"
        return [Refusal(f"{role} may neither set pg_cron's sequence nor empty its history", way)]
    return [
        Repair(
            f"empty pg_cron's history, because {role} may not set its sequence",
            [drafts.text("truncate cron.job_run_details")],
            destructive=True,
            as_owner=scene.acts_as_owner,
        )
    ]


CHECK = Check(
    layer="cron",
    claim="the numbers that pg_cron gives to its next runs are free",
    remedy="autosync-db repair cron_run_sequence_ahead",
    needs=("pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
    repair=_draft,
)
