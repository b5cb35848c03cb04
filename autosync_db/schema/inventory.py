"""What a migration would do to tables and a job that were there before it: the honest half of `migrate --dry-run`.

Everything is looked up in the catalog and in the rows; nothing is changed and no lock is taken that anybody waits for.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autosync_db.config import IsolationSettings
from autosync_db.connection import Connection
from autosync_db.schedules.table import API_COLUMNS
from autosync_db.schema import adoption
from autosync_db.schema.adoption import SCHEDULES, SECRETS, Table

Action = Literal["refuse", "add", "replace", "mend", "remove", "revoke", "keep"]
Row = tuple[Any, ...]

# as the server shows those of our checks that the deployed table has too
SHOWN_CHECKS = {
    "auto_sync_schedules_frequency_minutes_check": (
        "CHECK (((frequency_minutes >= 1) AND (frequency_minutes <= 44640)))"
    ),
    "auto_sync_schedules_direction_check": (
        "CHECK ((direction = ANY (ARRAY['import'::text, 'export'::text, 'bidirectional'::text])))"
    ),
    "auto_sync_schedules_conflict_resolution_check": (
        "CHECK ((conflict_resolution = ANY (ARRAY['newest_wins'::text, 'local_wins'::text, 'remote_wins'::text, "
        "'manual'::text])))"
    ),
    "auto_sync_schedules_device_filter_check": "CHECK ((device_filter = ANY (ARRAY['all'::text, 'tagged'::text])))",
    "auto_sync_schedules_last_run_status_check": (
        "CHECK ((last_run_status = ANY (ARRAY['success'::text, 'partial'::text, 'failed'::text])))"
    ),
}
_NAMED_IDS = 10


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


def changes(
    connection: Connection, pending: Mapping[str, Any], isolation: IsolationSettings | None = None
) -> list[Note]:
    """Return what the `pending` revisions (id and module) and their objects would do to what is there. Reads only.

    If something cannot be adopted, these findings alone: nothing else would be done. Empty for a database without any
    of it.
    """
    with connection.transaction(force_rollback=True):
        # names are then shown with their schema
        connection.execute("select set_config('search_path', '', true)")
        if refused := _refusals(connection, pending):
            return refused
        found: list[Note] = []
        if "0002" in pending and _exists(connection, SECRETS.name):
            found += _secrets(connection)
        if "0003" in pending and _exists(connection, SCHEDULES.name):
            found += _schedules(connection, pending["0003"], isolation)
        if "0005" in pending and _exists(connection, "cron.job"):
            found += _job(connection)
    return found


def _refusals(connection: Connection, pending: Collection[str]) -> list[Note]:
    queries = []
    if "0001" in pending:
        queries.append(adoption.SCHEMA_TAKEN)
    if "0002" in pending:
        queries.append(adoption.differences(SECRETS))
    if "0003" in pending:
        queries += [adoption.differences(SCHEDULES), adoption.FUNCTIONS_TAKEN]
    if "0004" in pending and _exists(connection, "cron.job"):
        queries.append(adoption.JOBS_TAKEN)
    rows = [row for query in queries for row in _rows(connection, query)]
    if "0003" in pending and _exists(connection, SCHEDULES.name) and not any(row[0] == SCHEDULES.name for row in rows):
        rows += _rows(connection, adoption.SCHEDULES_VIOLATIONS)
    return [Note("refuse", name, detail) for name, detail in rows]


def _secrets(connection: Connection) -> list[Note]:
    name = SECRETS.name
    names = [str(row[0]) for row in _rows(connection, "select s.name from public.pg_cron_secrets as s order by 1")]
    present = _columns(connection, name)
    found = [Note("keep", name, f"{len(names)} rows: {', '.join(names)}" if names else "no rows")]
    found += [
        Note("add", name, f"column {column}, with the time of the migration")
        for column in SECRETS.new_columns
        if column not in present
    ]
    found += [
        Note("replace", name, f"column {column} may be null and may not be so afterwards")
        for column in SECRETS.new_columns
        if present.get(column) is False
    ]
    found += _unknown_columns(SECRETS, present)
    found += _things(connection, name, "index")
    found += _things(connection, name, "constraint")
    found += _things(connection, name, "trigger")
    found += _unprotected(connection, name)
    found += [
        Note("replace", f"policy {policy} on {name}", "by pg_cron_secrets_nobody: nobody but service_role reads")
        for policy, *_ in _policies(connection, name)
    ]
    held_before = privileges(connection, name)
    return found + revocations(
        name, held_before, {held for held in held_before if held == Privilege("service_role", "SELECT")}
    )


def _schedules(connection: Connection, revision: Any, isolation: IsolationSettings | None) -> list[Note]:
    name = SCHEDULES.name
    present = _columns(connection, name)
    found = [Note("keep", name, f"{_one(connection, f'select count(*) from {name}')} rows, with their ids")]  # noqa: S608
    found += [Note("add", name, f"column {column}") for column in SCHEDULES.new_columns if column not in present]
    found += _unknown_columns(SCHEDULES, present)
    found += _mends(connection)
    found += _checks(connection, revision.CHECKS)
    retired = {str(row[1]) for row in _rows(connection, revision.RETIRED_INDEXES)}
    ours = {*revision.INDEXES, "auto_sync_schedules_claimable_idx"}
    found += [
        Note("add", f"index {index}", f"on {name}")
        for index in sorted(ours)
        if not _exists(connection, f"public.{index}")
    ]
    found += [Note("remove", f"index {index}", "no query needs it besides the others") for index in sorted(retired)]
    found += _things(connection, name, "index", besides=retired | ours)
    found += _things(connection, name, "constraint", besides={*revision.CHECKS})
    triggers = {str(row[0]) for row in _rows(connection, revision.RETIRED_TRIGGERS)}
    found += [Note("replace", f"trigger {one}", "by auto_sync_schedules_next_run_at") for one in sorted(triggers)]
    found += _things(connection, name, "trigger", besides=triggers)
    found += [
        Note("keep", f"function {signature}", f"{users} uses it")
        if users
        else Note("remove", f"function {signature}", "only the old trigger used it")
        for _, signature, users in _rows(connection, revision.RETIRED_FUNCTIONS)
    ]
    return found + _access(connection, isolation)


def _access(connection: Connection, isolation: IsolationSettings | None) -> list[Note]:
    name = SCHEDULES.name
    detected = str(_one(connection, adoption.ISOLATION_FOUND))
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
            Note("remove", f"policy {policy} on {name}", "service_role passes without it")
            if roles == ["service_role"]
            else Note("replace", f"policy {policy} on {name}", f"by {ours}")
            for policy, roles in policies
        ]
    before = privileges(connection, name)
    return found + revocations(name, before, _kept(connection, before, mode, detected))


def _kept(connection: Connection, before: set[Privilege], mode: str, detected: str) -> set[Privilege]:
    """Return which of the privileges on the schedules are there afterwards as well."""
    kept = {held for held in before if held.role == "service_role" and held.name in _ROWS}
    if mode == "none":
        return kept | {held for held in before if held.role not in _TOUCHED}
    settable = {*API_COLUMNS}
    extra: dict[str, list[str]] = {}
    if detected != "none":
        extra = _one(connection, adoption.user_columns(API_COLUMNS)) or {}
    for held in before:
        if held.role not in _TOUCHED:
            kept.add(held)
        elif held.role != "authenticated" or held.column in adoption.OWN_COLUMNS:
            continue
        elif held.name in ("INSERT", "UPDATE"):
            if mode == "custom" or held.column in settable or held.column in extra.get(held.name.lower(), []):
                kept.add(held)
        elif held.name in ("SELECT", "DELETE"):
            kept.add(held)
    return kept


def _job(connection: Connection) -> list[Note]:
    found = []
    for jobid, schedule, active, holds_key in connection.execute(_JOB, _JOB_VALUES).fetchall():
        name = f"cron job {adoption.JOB_NAME}"
        state = "" if active else ", and its pause"
        found.append(Note("keep", name, f"job {jobid} with its schedule {schedule}{state}"))
        found.append(Note("replace", name, "its command, by select autosync.dispatch()"))
        if holds_key:
            found.append(Note("remove", name, "its command holds a key and is not remembered for a rollback"))
    return found


_JOB = """
select c.jobid, c.schedule, c.active, exists (
    select from regexp_matches(c.command, %(key)s, 'g') as m where m[1] !~ %(public_key)s
)
from cron.job as c
where c.jobname = %(name)s and c.username = current_user and c.command <> 'select autosync.dispatch()'
"""
_JOB_VALUES = {"name": adoption.JOB_NAME, "key": adoption.KEY, "public_key": adoption.PUBLIC_KEY}
_ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_TOUCHED = ("public", *adoption.API_ROLES)


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
    """Return what anybody but the owner may do; what can be granted by column is told by column."""
    rows = connection.execute(
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
    ).fetchall()
    return {Privilege(*row) for row in rows}


def _mends(connection: Connection) -> list[Note]:
    selected = ", ".join(
        f"count(*) filter (where {mend.which}),"
        f" (array_agg(id::text order by id) filter (where {mend.which}))[1:{_NAMED_IDS}]"
        for mend in adoption.MENDS
    )
    row = connection.execute(f"select {selected} from {SCHEDULES.name}".encode()).fetchone()  # noqa: S608 - constants
    assert row is not None
    found = []
    for position, mend in enumerate(adoption.MENDS):
        count, ids = row[2 * position : 2 * position + 2]
        if count:
            more = f" and {count - _NAMED_IDS} more" if count > _NAMED_IDS else ""
            found.append(Note("mend", SCHEDULES.name, f"{mend.told} (rows: {count}): {', '.join(ids)}{more}"))
    return found


def _checks(connection: Connection, ours: Iterable[str]) -> list[Note]:
    rows = connection.execute(
        "select conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '') from pg_constraint"
        " where conrelid = to_regclass(%s) and contype = 'c'",
        [SCHEDULES.name],
    ).fetchall()
    present = {str(row[0]): str(row[1]) for row in rows}
    found = []
    for check in ours:
        if check not in present:
            found.append(Note("add", f"constraint {check}", f"on {SCHEDULES.name}"))
        elif check == "valid_time_window":
            found.append(Note("replace", f"constraint {check}", "by one that also refuses a window of no width"))
        elif present[check] != SHOWN_CHECKS.get(check):
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
    rows = connection.execute(_THINGS[kind].encode(), [table]).fetchall()
    return [Note("keep", f"{kind} {name}", str(detail)) for name, detail in rows if name not in besides]


def _unknown_columns(table: Table, present: Iterable[str]) -> list[Note]:
    known = {column.name for column in table.columns}
    return [Note("keep", table.name, f"column {column} of your own") for column in present if column not in known]


def _unprotected(connection: Connection, table: str) -> list[Note]:
    row = connection.execute("select relrowsecurity from pg_class where oid = to_regclass(%s)", [table]).fetchone()
    return [] if row == (True,) else [Note("replace", table, "row level security is turned on")]


def _policies(connection: Connection, table: str) -> list[tuple[str, list[str]]]:
    rows = connection.execute(
        "select policyname, roles::text[] from pg_policies where format('%%I.%%I', schemaname, tablename) = %s"
        " order by 1",
        [table],
    ).fetchall()
    return [(str(name), list(roles)) for name, roles in rows]


def _columns(connection: Connection, table: str) -> dict[str, bool]:
    """Return whether each column refuses null, by name."""
    rows = connection.execute(
        "select attname, attnotnull from pg_attribute"
        " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        [table],
    ).fetchall()
    return dict(rows)


def _exists(connection: Connection, relation: str) -> bool:
    return connection.execute("select to_regclass(%s) is not null", [relation]).fetchone() == (True,)


def _rows(connection: Connection, query: str) -> list[Row]:
    return connection.execute(query.encode()).fetchall()


def _one(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None
