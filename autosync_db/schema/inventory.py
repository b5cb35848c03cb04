"""What a migration would do to tables and a job that were there before it, for `migrate --dry-run`.

Everything is looked up in the catalog and in the rows; nothing is changed and no lock is taken that anybody waits for.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autosync_db.config import GUIDE_JOB, HOUSEKEEPING_JOB, IsolationSettings
from autosync_db.connection import Connection, exists, rows
from autosync_db.jobs.registry import RENAMING
from autosync_db.schema import adoption, revisions

Action = Literal["refuse", "add", "replace", "fix", "remove", "revoke", "keep"]
Table = dict[str, Any]

SECRETS = "public.pg_cron_secrets"
SCHEDULES = "public.auto_sync_schedules"
_NARROWS = "as it is: a restrictive one lets nobody in"
# what declarative schema files made, and alembic/make_way.sql takes away
_DECLARED = ("schema autosync", "function public.auto_sync_")
# by somebody else; without our schema its job may be left
_TAKEN = """
select from cron.job as c where c.jobname = 'autosync-keep-house' and c.command <> 'select autosync.keep_house()'
"""
_INDEXES = (
    "auto_sync_schedules_claimable_idx",
    "auto_sync_schedules_retries_idx",
    "idx_auto_sync_schedules_next_run",
    "idx_auto_sync_schedules_organization_id",
)


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that a migration would do to what is there, or would leave alone (`keep`)."""

    action: Action
    object: str
    detail: str


@dataclass(frozen=True, slots=True)
class Privilege:
    """A privilege that a role has on a table, or on one column of it."""

    role: str
    name: str
    column: str | None = None


def notes(connection: Connection, pending: Collection[str], isolation: IsolationSettings | None = None) -> list[Note]:
    """Return what the `pending` revisions and their objects would do to what is there. Reads only.

    If something cannot be adopted, these notes alone: nothing else would be done. Empty for a database without any
    of it.
    """
    with connection.transaction(force_rollback=True):
        # names are then shown with their schema
        connection.execute("select set_config('search_path', '', true)")
        tables = adoption.prepare(connection, pending)
        is_declared = "0001" in pending and revisions.is_declared(connection)
        if refusals := [
            refusal
            for refusal in adoption.ask(connection, "refusals") or []
            if not (is_declared and refusal["object"].startswith(_DECLARED))
        ]:
            return [Note("refuse", refusal["object"], refusal["detail"]) for refusal in refusals]
        if "0004" in pending and exists(connection, "cron.job") and rows(connection, _TAKEN):
            return [Note("refuse", f"cron job {HOUSEKEEPING_JOB}", f"has the name of housekeeping: {RENAMING}")]
        found: list[Note] = []
        if is_declared:
            detail = "as schema files made it, without rows: it is made again, by the revisions"
            found.append(Note("replace", f"schema {revisions.SCHEMA}", detail))
        if "0002" in pending and exists(connection, SECRETS):
            found += _secrets(connection, tables[SECRETS])
        if "0003" in pending and exists(connection, SCHEDULES):
            found += _schedules(connection, tables[SCHEDULES], isolation)
        if "0005" in pending:
            found += _job(connection)
    return found


def _secrets(connection: Connection, table: Table) -> list[Note]:
    names = [str(row[0]) for row in rows(connection, "select s.name from public.pg_cron_secrets as s order by 1")]
    present = _columns(connection, SECRETS)
    found = [Note("keep", SECRETS, f"{len(names)} rows: {', '.join(names)}" if names else "no rows")]
    found += [
        Note("add", SECRETS, f"column {column}, with the time of the migration")
        for column in _new_columns(table)
        if column not in present
    ]
    found += [
        Note("replace", SECRETS, f"column {column} may be null now, but not afterwards")
        for column in _new_columns(table)
        if present.get(column) is False
    ]
    found += _unknown_columns(table, present)
    found += _things(connection, SECRETS, "index")
    found += _things(connection, SECRETS, "constraint")
    found += _things(connection, SECRETS, "trigger")
    found += _unprotected(connection, SECRETS)
    found += [
        Note("replace", f"policy {policy} on {SECRETS}", "by pg_cron_secrets_nobody: only service_role reads")
        if is_permissive
        else Note("keep", f"policy {policy} on {SECRETS}", _NARROWS)
        for policy, _, is_permissive in _policies(connection, SECRETS)
    ]
    held_before = privileges(connection, SECRETS)
    return found + revocations(
        SECRETS, held_before, {held for held in held_before if held == Privilege("service_role", "SELECT")}
    )


def _schedules(connection: Connection, table: Table, isolation: IsolationSettings | None) -> list[Note]:
    present = _columns(connection, SCHEDULES)
    checks = {check["name"]: check.get("shown") for check in adoption.ask(connection, "checks")}
    retired = adoption.ask(connection, "retired")
    [(count,)] = rows(connection, "select count(*) from public.auto_sync_schedules")
    found = [Note("keep", SCHEDULES, f"{count} rows, with their ids")]
    found += [Note("add", SCHEDULES, f"column {column}") for column in _new_columns(table) if column not in present]
    found += _unknown_columns(table, present)
    found += _fixes(connection)
    found += _checks(connection, checks)
    found += [
        Note("add", f"index {index}", f"on {SCHEDULES}")
        for index in _INDEXES
        if not exists(connection, f"public.{index}")
    ]
    found += [
        Note("remove", f"index {index}", "no query needs it in addition to the others") for index in retired["indexes"]
    ]
    found += _things(connection, SCHEDULES, "index", besides={*retired["indexes"], *_INDEXES})
    found += _things(connection, SCHEDULES, "constraint", besides=checks)
    found += [
        Note("replace", f"trigger {trigger}", "by auto_sync_schedules_next_run_at") for trigger in retired["triggers"]
    ]
    found += _things(connection, SCHEDULES, "trigger", besides=retired["triggers"])
    found += [
        Note("keep", f"function {function['name']}", f"{function['users']} uses it")
        if function["users"]
        else Note("remove", f"function {function['name']}", "only the old trigger used it")
        for function in retired["functions"]
    ]
    return found + _access(connection, table, isolation)


def _access(connection: Connection, table: Table, isolation: IsolationSettings | None) -> list[Note]:
    name = SCHEDULES
    detected = str(adoption.ask(connection, "isolation_found"))
    mode = isolation.mode if isolation else detected
    policies = _policies(connection, name)
    found = _unprotected(connection, name)
    if mode == "custom":
        found.append(Note("keep", name, 'its own policies: isolation mode "custom"; choose one in autosync.toml'))
        found += [Note("keep", f"policy {policy} on {name}", "as it is") for policy, *_ in policies]
    else:
        what = "as autosync.toml says" if isolation else "which lets in whom the policies let in"
        found.append(Note("replace", name, f'policies, by isolation mode "{mode}", {what}'))
        ours = f"auto_sync_schedules_{'nobody' if mode == 'none' else mode}"
        found += [
            Note("keep", f"policy {policy} on {name}", _NARROWS)
            if not is_permissive
            else Note("remove", f"policy {policy} on {name}", "service_role passes without it")
            if roles == ["service_role"]
            else Note("replace", f"policy {policy} on {name}", f"by {ours}")
            for policy, roles, is_permissive in policies
        ]
    before = privileges(connection, name)
    return found + revocations(name, before, _kept(connection, table, before, mode, detected))


def _kept(connection: Connection, table: Table, before: set[Privilege], mode: str, detected: str) -> set[Privilege]:
    """Return which of the privileges on the schedules are there afterwards as well."""
    kept = {held for held in before if held.role == "service_role" and held.name in _ROWS}
    if mode == "none":
        return kept | {held for held in before if held.role not in _TOUCHED}
    settable = {column["name"] for column in table["columns"] if column.get("settable")}
    reserved = {column["name"] for column in table["columns"] if column.get("reserved")}
    extra: dict[str, list[str]] = {}
    if detected != "none":
        extra = adoption.ask(connection, "user_columns") or {}
    for held in before:
        if held.role not in _TOUCHED:
            kept.add(held)
        elif held.role != "authenticated" or held.column in reserved:
            continue
        elif held.name in ("INSERT", "UPDATE"):
            if mode == "custom" or held.column in settable or held.column in extra.get(held.name.lower(), []):
                kept.add(held)
        elif held.name in ("SELECT", "DELETE"):
            kept.add(held)
    return kept


def _job(connection: Connection) -> list[Note]:
    found = []
    name = f"cron job {GUIDE_JOB}"
    for job in adoption.ask(connection, "job_found"):
        if not job["is_served"]:
            continue  # it is taken over after the revisions, or not at all: see setup/takeover.py
        state = "" if job["active"] else ", and its pause"
        found.append(Note("keep", name, f"job {job['jobid']} with its schedule {job['schedule']}{state}"))
        found.append(Note("replace", name, "its command, by select autosync.dispatch()"))
    return found


_ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_TOUCHED = ("public", "anon", "authenticated", "service_role")


def revocations(table: str, before: set[Privilege], kept: set[Privilege]) -> list[Note]:
    """Return who loses what: the privileges of `before` that are not `kept`."""
    found = []
    for role in sorted({held.role for held in before - kept}):
        lost = {held for held in before - kept if held.role == role}
        # a privilege whose every column is lost is lost as a whole
        still = {held.name for held in kept if held.role == role}
        whole = sorted({held.name.lower() for held in lost if held.name not in still})
        if whole:
            found.append(Note("revoke", table, f"{role} loses {', '.join(whole)}"))
        for name in sorted({held.name for held in lost} & still):
            columns = sorted(str(held.column) for held in lost if held.name == name)
            found.append(Note("revoke", table, f"{role} loses {name.lower()} of {', '.join(columns)}"))
    return found


def privileges(connection: Connection, table: str) -> set[Privilege]:
    """Return what anybody but the owner may do; what can be granted by column stands by column."""
    there = rows(
        connection,
        """
        select case when a.grantee = 0 then 'public' else r.rolname end, a.privilege_type, t.attname
        from pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        left join pg_attribute as t
            on t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped and a.privilege_type in ('INSERT', 'UPDATE')
        left join pg_roles as r on r.oid = a.grantee
        where c.oid = to_regclass(%(table)s) and a.grantee <> c.relowner
        union
        select case when a.grantee = 0 then 'public' else r.rolname end, a.privilege_type,
            case when a.privilege_type in ('INSERT', 'UPDATE') then t.attname end
        from pg_class as c
        join pg_attribute as t on t.attrelid = c.oid and not t.attisdropped
        cross join lateral aclexplode(t.attacl) as a
        left join pg_roles as r on r.oid = a.grantee
        where c.oid = to_regclass(%(table)s) and a.grantee <> c.relowner
        """,
        {"table": table},
    )
    return {Privilege(*row) for row in there}


def _fixes(connection: Connection) -> list[Note]:
    found = []
    for fix in adoption.ask(connection, "fixes"):
        more = f" and {fix['count'] - len(fix['ids'])} more" if fix["count"] > len(fix["ids"]) else ""
        found.append(Note("fix", SCHEDULES, f"{fix['note']} (rows: {fix['count']}): {', '.join(fix['ids'])}{more}"))
    return found


def _checks(connection: Connection, ours: Mapping[str, str | None]) -> list[Note]:
    there = rows(
        connection,
        "select conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '') from pg_constraint"
        " where conrelid = to_regclass(%s) and contype = 'c'",
        [SCHEDULES],
    )
    present = {str(row[0]): str(row[1]) for row in there}
    found = []
    for check, shown in ours.items():
        if check not in present:
            found.append(Note("add", f"constraint {check}", f"on {SCHEDULES}"))
        elif check == "valid_time_window":
            found.append(Note("replace", f"constraint {check}", "by one that also refuses a window of zero length"))
        elif present[check] != shown:
            found.append(Note("keep", f"constraint {check}", f"under the name {check}_before, beside ours"))
    return found


_THINGS = {
    "index": """
        select c.relname, pg_get_indexdef(i.indexrelid)
        from pg_index as i
        join pg_class as c on c.oid = i.indexrelid
        where i.indrelid = to_regclass(%s)
            and not exists (select from pg_constraint as k where k.conindid = i.indexrelid and k.contype in ('p', 'u'))
        order by 1
    """,
    "constraint": """
        select k.conname, pg_get_constraintdef(k.oid)
        from pg_constraint as k
        where k.conrelid = to_regclass(%s) and k.contype in ('c', 'f', 'u', 'x')
        order by 1
    """,
    "trigger": """
        select t.tgname, p.oid::regprocedure::text
            || case when p.prosrc ~ '\\mnext_run_at\\M' then ', which speaks of next_run_at: look at it' else '' end
        from pg_trigger as t
        join pg_proc as p on p.oid = t.tgfoid
        where t.tgrelid = to_regclass(%s) and not t.tgisinternal
        order by 1
    """,
}


def _things(
    connection: Connection, table: str, kind: Literal["index", "constraint", "trigger"], besides: Collection[str] = ()
) -> list[Note]:
    """Return what belongs to the project and stays."""
    there = rows(connection, _THINGS[kind].encode(), [table])
    return [Note("keep", f"{kind} {name}", str(detail)) for name, detail in there if name not in besides]


def _new_columns(table: Table) -> list[str]:
    """Return the columns that the deployed table lacks."""
    return [column["name"] for column in table["columns"] if not column["required"]]


def _unknown_columns(table: Table, present: Iterable[str]) -> list[Note]:
    known = {column["name"] for column in table["columns"]}
    return [Note("keep", table["name"], f"column {column} of your own") for column in present if column not in known]


def _unprotected(connection: Connection, table: str) -> list[Note]:
    row = connection.execute("select relrowsecurity from pg_class where oid = to_regclass(%s)", [table]).fetchone()
    return [] if row == (True,) else [Note("replace", table, "row level security is turned on")]


def _policies(connection: Connection, table: str) -> list[tuple[str, list[str], bool]]:
    there = rows(
        connection,
        "select policyname, roles::text[], permissive = 'PERMISSIVE' from pg_policies"
        " where format('%%I.%%I', schemaname, tablename) = %s order by 1",
        [table],
    )
    return [(str(name), list(roles), bool(is_permissive)) for name, roles, is_permissive in there]


def _columns(connection: Connection, table: str) -> dict[str, bool]:
    """Return whether each column refuses null, by name."""
    there = rows(
        connection,
        "select attname, attnotnull from pg_attribute"
        " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        [table],
    )
    return dict(there)
