"""The numbers that pg_cron gives to its next runs and jobs are free."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene

_NEWEST = {
    "cron.runid_seq": "(select max(d.runid) from cron.job_run_details as d)",
    "cron.jobid_seq": "(select max(c.jobid) from cron.job as c)",
}


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Move pg_cron's sequences past what they number, or empty the history where that is not allowed."""
    return [_past(scene, sequence) for sequence in scene.named("sequence")]


def _past(scene: Scene, sequence: str) -> Repair | Refusal:
    role = scene.me if scene.is_superuser else scene.owner or scene.me
    newest, is_of_runs = drafts.text(_NEWEST[sequence]), sequence == "cron.runid_seq"
    may_set, may_draw, may_empty = scene.rows(
        "select has_sequence_privilege(%(role)s, %(sequence)s, 'update'),"
        " has_sequence_privilege(%(role)s, %(sequence)s, 'usage'),"
        " has_table_privilege(%(role)s, 'cron.job_run_details', 'truncate')",
        {"role": role, "sequence": sequence},
    )[0]
    what = "its history" if is_of_runs else "its jobs"
    move = sql.SQL("select setval({}, {})").format(sql.Literal(sequence), newest)
    if may_set:
        return Repair(f"move pg_cron's sequence past {what}", [move], as_owner=scene.acts_as_owner)
    if may_draw:
        draw = sql.SQL("select max(nextval({})) from generate_series((select s.last_value from {} as s), {})").format(
            sql.Literal(sequence), drafts.text(sequence), newest
        )
        return Repair(f"draw pg_cron's sequence past {what}", [draw], as_owner=scene.acts_as_owner)
    way = f"as a superuser run: {move.as_string()};"
    if not is_of_runs:
        way += " else try again what makes the job: each attempt takes a number"
        return Refusal(f"{role} may not set pg_cron's sequence", way)
    if not may_empty:
        return Refusal(f"{role} may neither set pg_cron's sequence nor empty its history", way)
    return Repair(
        f"empty pg_cron's history, because {role} may not set its sequence",
        [drafts.text("truncate cron.job_run_details")],
        destructive=True,
        as_owner=scene.acts_as_owner,
    )


CHECK = Check(
    layer="cron",
    claim="the numbers that pg_cron gives to its next runs and jobs are free",
    remedy="autosync-db repair cron_run_sequence_ahead",
    needs=("pg_cron_installed", "pg_cron_not_blocked", "privileges_sufficient"),
    repair=_draft,
)
