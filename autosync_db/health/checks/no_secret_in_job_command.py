"""No job holds a key in its text."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Replace the text of our own job, and mask keys in pg_cron's history."""
    found: list[Repair | Refusal] = []
    holding = [facts["job_id"] for facts in scene.findings if facts.get("in_command")]
    for number, name, _, is_registered in scene.cron_jobs(holding):
        if is_registered:
            sync = drafts.SYNC.format(sql.Literal(name))
            found.append(Repair(f"overwrite the command of job {number}", [sync], destructive=True))
        else:
            reason = f"job {number} ({name or 'unnamed'}) is not ours: let it read its key from a table"
            hint = f"change its text as its owner, with cron.alter_job({number}, command := ...), and rotate the key"
            found.append(Refusal(reason, hint))
    if any(facts.get("runs") for facts in scene.findings):
        found.append(
            Repair(
                "mask the keys in the commands that pg_cron's history kept (rotate them all the same)",
                drafts.fixed("no_secret_in_job_command"),
                destructive=True,
                in_batches=True,
                as_owner=scene.acts_as_owner,
            )
        )
    return found


CHECK = Check(
    layer="secrets",
    claim="no job holds a key in its text",
    remedy="autosync-db repair no_secret_in_job_command",
    remedies={
        "not_ours": ByYou(
            "let it read the key with autosync.read_secret() or from the vault:"
            " select cron.alter_job({job_id}, command := 'TEXT')",
            where="as the owner of the job",
            then="autosync-db rotate",
        ),
    },
    needs=(
        "head_applied",
        "pg_cron_installed",
        "pg_cron_not_blocked",
        "privileges_sufficient",
    ),
    causes=("pg_cron_installed",),
    repair=_draft,
)
