"""Every role that owns a cron job exists."""

from itertools import groupby

from psycopg import sql

from autosync_db.health import drafts, second_jobs
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Unschedule the jobs of roles that are gone; the texts of those that are not ours are kept, switched off.

    A role that may not write to cron.job creates the missing role, unschedules the jobs as that role, and drops it,
    all in one transaction.
    """
    jobs = scene.cron_jobs(scene.named("job_id"))
    numbers = ", ".join(str(number) for number, *_ in jobs)
    may_revive = scene.value(
        "select rolcreaterole and has_schema_privilege(oid, 'cron', 'usage with grant option')"
        " from pg_catalog.pg_roles where rolname = current_user"
    )
    if not (scene.is_superuser or may_revive):
        calls = " ".join(f"select cron.unschedule({number});" for number, *_ in jobs)
        return [Refusal(f"jobs {numbers} belong to roles that are gone", f"as a superuser run: {calls}")]
    # as whoever repairs: no text of somebody's is dropped
    statements = [
        one
        for number, name, _, is_registered in jobs
        if not is_registered
        for one in second_jobs.copy(number, f"{name or 'job'}-{number}", is_active=False)
    ]
    kept = "; texts that are not ours are kept as jobs of this role, switched off" if statements else ""
    for role, group in groupby(sorted(jobs, key=lambda job: job[2]), key=lambda job: job[2]):
        calls_of_role = [_unschedule(number) for number, *_ in group]
        statements += calls_of_role if scene.is_superuser else _as_revived(scene, role, calls_of_role)
    if any(is_registered for *_, is_registered in jobs):
        sync = drafts.text("select autosync.sync_job(j.name) from autosync.job as j order by j.name")
        statements += drafts.acting_as(scene, str(scene.owner), sync)
    return [Repair(f"unschedule {_jobs(numbers)}{kept}", statements, destructive=True, as_owner=False)]


def _jobs(numbers: str) -> str:
    return f"{'jobs' if ',' in numbers else 'job'} {numbers}, whose role does not exist"


def _unschedule(number: int) -> sql.Composable:
    return sql.SQL("select cron.unschedule({}::bigint)").format(sql.Literal(number))


def _as_revived(scene: Scene, role: str, calls: list[sql.Composable]) -> list[sql.Composable]:
    names = {"role": sql.Identifier(role), "me": sql.Identifier(scene.me)}
    membership = "grant {role} to {me} with set true" if _names_set(scene) else "grant {role} to {me}"
    before = ("create role {role}", "grant usage on schema cron to {role}", membership, "set local role {role}")
    after = ("reset role", "revoke usage on schema cron from {role}", "drop role {role}")
    return [
        *(sql.SQL(text).format(**names) for text in before),
        *calls,
        *(sql.SQL(text).format(**names) for text in after),
    ]


def _names_set(scene: Scene) -> bool:
    return scene.connection.info.server_version >= 160000


CHECK = Check(
    layer="cron",
    claim="every role that owns a cron job exists",
    remedy="autosync-db repair cron_job_roles_exist",
    needs=("pg_cron_installed", "privileges_sufficient"),
    repair=_draft,
)
