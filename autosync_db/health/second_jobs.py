"""The statements that end a second job with the calls of one of ours. What somebody wrote is never dropped."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Refusal, Repair, Scene

_ABOUT = r"""
select c.command ~* '^\s*select\s+autosync\.dispatch\s*\(\s*(''[^'']*'')?\s*\)[\s;]*$'
        or exists (
            select from autosync.job as j
            where j.name = c.jobname and c.command in (j.scheduled_command, autosync.job_command(j.name))
        ),
    c.database = current_database(), c.active
from cron.job as c
where c.jobid = %s
"""
_MAY_ALTER = """
select coalesce(bool_or(has_function_privilege(%s, p.oid, 'execute')), false)
from pg_catalog.pg_proc as p
where p.pronamespace = to_regnamespace('cron') and p.proname = 'alter_job'
"""
_IS_TAKEN = "select exists (select from cron.job as c where c.jobname = %s)"
# pg_cron asks for that where the role is named
_LOGS_IN = "select r.rolcanlogin from pg_catalog.pg_roles as r where r.rolname = %s"
_MAY_USE = "select has_schema_privilege(%s, n.oid, %s) from pg_catalog.pg_namespace as n where n.nspname = 'cron'"
_LET = sql.SQL("grant usage on schema cron to {}")
_LET_NO_MORE = sql.SQL("revoke usage on schema cron from {}")
_UNSCHEDULE = sql.SQL("select cron.unschedule({}::bigint)")
_SWITCH_OFF = sql.SQL("select cron.alter_job({}, active := false)")
# pg_cron has no way to rename a job
_COPY = sql.SQL("select cron.schedule({}, c.schedule, c.command) from cron.job as c where c.jobid = {}")
_COPY_IS_OFF = sql.SQL(
    "select cron.alter_job(c.jobid, active := false) from cron.job as c"
    " where c.jobname = {} and c.username = current_user"
)


_COPY_OF_ANY_ROLE = sql.SQL(
    "select cron.schedule_in_database({}, c.schedule, c.command, c.database, c.username, c.active)"
    " from cron.job as c where c.jobid = {}"
)


def end(scene: Scene, number: int, role: str, name: str | None) -> Repair | Refusal:
    """Return what ends a second job: what is ours goes, and what somebody wrote is switched off.

    One of the same `name` as ours gets another name instead: by its name it is taken for ours, even if inactive.
    """
    is_ours, is_here, is_active = scene.rows(_ABOUT, [number])[0]
    another = f"{name}-{number}"
    if name is None or is_ours:
        way = (_UNSCHEDULE if is_ours else _SWITCH_OFF).format(sql.Literal(number))
        shown = f"run: {way.as_string(scene.connection)};"
    else:
        shown = f"schedule it under another name, then run: select cron.unschedule({number});"
    if not (scene.is_superuser or scene.may_act_as(role)):
        return Refusal(
            f"job {number} belongs to the role {role}, and {scene.me} may not act as it",
            f"as {role} or a superuser {shown}",
        )
    if name is not None and not is_ours:
        if not (is_here or scene.is_superuser) or scene.value(_IS_TAKEN, [another]):
            return Refusal(f"job {number} of {role} cannot be given another name from here", f"as {role} {shown}")
        sentence = f"rename job {number} of {role} to {another}"
        if scene.is_superuser and scene.value(_LOGS_IN, [role]):
            as_theirs = _COPY_OF_ANY_ROLE.format(sql.Literal(another), sql.Literal(number))
            return Repair(sentence, [as_theirs, _UNSCHEDULE.format(sql.Literal(number))])
        renaming = [*copy(number, another, is_active=is_active), _UNSCHEDULE.format(sql.Literal(number))]
        return Repair(sentence, drafts.acting_as(scene, role, *renaming))
    if not is_ours and not scene.is_superuser and not scene.value(_MAY_ALTER, [role]):
        return Refusal(f"{role} may not change job {number} with cron.alter_job()", f"as a superuser {shown}")
    statements = [way] if scene.is_superuser else drafts.acting_as(scene, role, way)
    if not scene.is_superuser and role != scene.me and not scene.value(_MAY_USE, [role, "usage"]):
        if not scene.value(_MAY_USE, [scene.me, "usage with grant option"]):
            return Refusal(f"{role} may not use the schema cron any more", f"as a superuser {shown}")
        # for the time of the statement
        name_of = sql.Identifier(role)
        statements = [_LET.format(name_of), *statements, _LET_NO_MORE.format(name_of)]
    return Repair(f"{'unschedule' if is_ours else 'switch off'} job {number} of {role}", statements)


def copy(number: int, name: str, *, is_active: bool) -> list[sql.Composable]:
    """Return what schedules the text of a job once more under another name, as whoever runs it."""
    statements: list[sql.Composable] = [_COPY.format(sql.Literal(name), sql.Literal(number))]
    if not is_active:
        # pg_cron activates what it is given
        statements.append(_COPY_IS_OFF.format(sql.Literal(name)))
    return statements
