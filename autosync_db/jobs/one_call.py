"""One call of the ledger, with what its answer said of itself, and its lines of the platform's log.

The platform names a call twice in its answer: sb-request-id, and x-deno-execution-id, under which a function's own
lines are kept. The log is asked for these alone, and only for the time of the call.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.rows import kwargs_row

from autosync_db.connection import Connection, rows, value
from autosync_db.errors import UsageError
from autosync_db.jobs import binding
from autosync_db.jobs.calls import GRACE, Cause
from autosync_db.supabase import address

if TYPE_CHECKING:
    from autosync_db.supabase.management import Management

_FIND = """
    select coalesce(j.name, '') as job, j.function, i.id, i.tick_id, i.request_id, i.attempt, i.idempotency_key,
        i.queued_at, i.answered_at, i.settled_at, i.report_due_at, i.timeout_milliseconds,
        f.outcome, f.status_code, f.error_code, f.error_message, f.body_excerpt, f.function_milliseconds, f.counts,
        f.answered_by, f.proof, f.sb_request_id, f.execution_id,
        autosync.classify(f.outcome, f.status_code, f.error_code, f.body_excerpt, f.answered_by) as cause
    from autosync.invocation as i
    left join autosync.job as j on j.id = i.job_id
    left join autosync.pending_outcomes(
        array(select p.id from autosync.invocation as p where p.id = %(id)s and p.outcome = 'pending')
    ) as o on o.invocation_id = i.id
    cross join lateral (
        select coalesce(o.outcome, i.outcome) as outcome, coalesce(o.status_code, i.status_code) as status_code,
            coalesce(o.error_code, i.error_code) as error_code,
            coalesce(o.error_message, i.error_message) as error_message,
            coalesce(o.body_excerpt, i.body_excerpt) as body_excerpt,
            coalesce(o.function_milliseconds, i.function_milliseconds) as function_milliseconds,
            coalesce(o.counts, i.counts) as counts, coalesce(o.answered_by, i.answered_by) as answered_by,
            coalesce(o.proof, i.proof) as proof, coalesce(o.sb_request_id, i.sb_request_id) as sb_request_id,
            coalesce(o.execution_id, i.execution_id) as execution_id
    ) as f
    where i.id = %(id)s
"""
# a few are enough to say that there are several
_RESOLVE = """
    select i.id, true from autosync.invocation as i where i.id = %(number)s
    union all
    (
        select i.id, false
        from unnest(cast(%(first)s as bigint[]), cast(%(last)s as bigint[])) as b (first, last)
        cross join lateral (
            select n.id from autosync.invocation as n where n.id between b.first and b.last order by n.id limit 4
        ) as i
        limit 4
    )
    union all
    (select i.id, false from autosync.invocation as i where i.idempotency_key between %(least)s and %(most)s limit 4)
"""
# the log's own SQL, ClickHouse's: it takes no parameters, so that nothing but an id of this form is put into it
_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_COLUMNS = (
    "id, timestamp, source, event_message, severity_text, log_attributes['level'] as level,"
    " log_attributes['execution_id'] as execution_id"
)
_MOST = 200
_GATEWAY = f"""-- autosync-db: the gateway's line of one call
select {_COLUMNS} from logs
where source = 'function_edge_logs' and (%s)
order by timestamp
limit {_MOST}"""  # noqa: S608 - constants, and ids of the form above
_FUNCTION = f"""-- autosync-db: what a function wrote in one call
select {_COLUMNS} from logs
where source = 'function_logs' and log_attributes['execution_id'] = '%s'
order by timestamp
limit {_MOST}"""  # noqa: S608 - the same
_BY_REQUEST = "log_attributes['request_id'] = '{0}' or log_attributes['response.headers.sb_request_id'] = '{0}'"
_BY_EXECUTION = "log_attributes['execution_id'] = '{0}'"
# a clock may differ, and a line may be written when the answer is on its way
_BEFORE, _AFTER = timedelta(seconds=5), timedelta(seconds=10)
_SEPARATOR = "\n\x1e\n"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as the ledger has it, or as it is known now where it is not settled yet."""

    job: str
    function: str | None
    id: int
    tick_id: int | None
    request_id: int
    attempt: int
    idempotency_key: UUID
    queued_at: datetime
    answered_at: datetime | None
    settled_at: datetime | None
    report_due_at: datetime | None
    timeout_milliseconds: int
    outcome: str
    status_code: int | None
    error_code: str | None
    error_message: str | None
    body_excerpt: str | None
    function_milliseconds: int | None
    counts: Any
    answered_by: str | None
    proof: str | None
    sb_request_id: str | None
    execution_id: str | None
    cause: Cause

    @property
    def ends_at(self) -> datetime:
        """Return when it was over at the latest; an answer is seen later than it came."""
        if self.report_due_at is not None:  # the function goes on after its answer
            return self.settled_at or self.report_due_at
        latest = self.queued_at + timedelta(milliseconds=self.timeout_milliseconds) + GRACE
        return min(self.answered_at, latest) if self.answered_at else latest

    @property
    def facts(self) -> dict[str, Any]:
        """Return all of it by its names."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the platform's log; keys and stored secrets in its text are masked."""

    at: str
    source: str
    level: str
    text: str


def resolve(connection: Connection, text: str) -> int:
    """Return the number of the call that is meant: by that number, or the beginning of it or of its idempotency key.

    A beginning has at least four characters. Raises UsageError when there is none, or more than one.
    """
    digits = re.sub(r"-|^urn:uuid:|[{}]", "", text.strip().lower())
    if not re.fullmatch(r"[0-9]{1,18}|[0-9a-f]{4,32}", digits):
        raise UsageError(
            f"{text!r} is not the id of a call",
            hint="give its number, or at least 4 characters of its idempotency key; list them with: autosync-db runs",
        )
    found = rows(connection, _RESOLVE, _beginning(digits))
    exact = [id for id, is_exact in found if is_exact]
    others = sorted({id for id, _ in found})
    if exact or len(others) == 1:
        return int((exact or others)[0])
    if not others:
        raise _none(text)
    named = ", ".join(map(str, others[:3])) + (" and more" if len(others) > 3 else "")
    raise UsageError(f"{text} is the beginning of several calls: {named}", hint="give more characters of the id")


def _beginning(digits: str) -> dict[str, Any]:
    """Return what a query needs to find the calls whose number or whose key begins so, by their indexes."""
    number = int(digits) if digits.isdigit() and len(digits) <= 18 else None
    # of 123 these are 1230 to 1239, 12300 to 12399, and so on
    spans = [(number * 10**more, (number + 1) * 10**more - 1) for more in range(1, 19 - len(digits))] if number else []
    is_beginning = len(digits) >= 4
    return {
        "number": number,
        "first": [first for first, _ in spans] if is_beginning else [],
        "last": [last for _, last in spans] if is_beginning else [],
        "least": UUID(digits.ljust(32, "0")) if is_beginning else None,
        "most": UUID(digits.ljust(32, "f")) if is_beginning else None,
    }


def find(connection: Connection, id: int) -> Call:
    """Return a call by its number in the ledger. Raises UsageError where there is none. Reads only."""
    with connection.cursor(row_factory=kwargs_row(_call)) as cursor:
        found = cursor.execute(_FIND, {"id": id}).fetchone()
    if found is None:
        raise _none(str(id))
    return found


def _none(id: str) -> UsageError:
    return UsageError(
        f"there is no call {id}",
        hint="list the newest, with their ids: autosync-db runs; [retention] says when calls are deleted",
    )


def project_ref(connection: Connection, configured: str | None) -> str | None:
    """Return the hosted project whose functions this database calls, None for another address."""
    bound = binding.stored(connection)
    found = configured or (bound or {}).get("project_ref") or binding.called_ref(connection)
    return str(found) if found and address.is_ref(str(found)) else None


def where(call: Call, project_ref: str | None) -> str | None:
    """Return the address of the function's log in the dashboard, None for a call that has none."""
    if project_ref is None or call.function is None:
        return None
    slug = re.split(r"[/?]", call.function, maxsplit=1)[0]
    return f"https://supabase.com/dashboard/project/{project_ref}/functions/{slug}/logs"


def require_ids(call: Call, project_ref: str) -> None:
    """Return if the project's log can be asked for a call. Raises UsageError that says why it cannot."""
    if _ids(call):
        return
    without = f"without the log: autosync-db runs show {call.id}"
    if call.function is None:
        raise UsageError(
            f"the call {call.id} went to another address than a function: the project keeps no log of it", hint=without
        )
    if call.cause is Cause.PENDING:
        raise UsageError(
            f"the call {call.id} has no answer yet, and the answer names its lines in the log",
            hint="wait, and try again",
        )
    if call.status_code is None:
        raise UsageError(
            f"the call {call.id} has no answer ({call.error_message or call.outcome}), and the answer names its lines"
            " in the log",
            hint=f"look around {call.queued_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: {where(call, project_ref)}",
        )
    raise UsageError(
        f"the answer to the call {call.id} has neither sb-request-id nor x-deno-execution-id, which name it in the log",
        hint=f"only Supabase's own platform sends them, and not where its gateway refuses a call; {without}",
    )


def log(connection: Connection, management: "Management", call: Call) -> list[Line]:
    """Return the log's lines of a call, the oldest first. Raises ManagementError, and what require_ids() raises.

    A worker may serve several calls: its lines beyond the time of this one are left out.
    """
    require_ids(call, management.project_ref)
    since, until = call.queued_at - _BEFORE, call.ends_at + _AFTER
    # both ends are rounded to minutes there
    between = (since - timedelta(minutes=1), min(until + timedelta(minutes=1), since + timedelta(hours=23)))
    request_id, execution_id = _ids(call).get("request"), _ids(call).get("execution")
    by = [_BY_REQUEST.format(request_id)] if request_id else []
    by += [_BY_EXECUTION.format(execution_id)] if execution_id else []
    rows = management.log(_GATEWAY % " or ".join(by), *between)
    if execution_id is None:
        execution_id = next((one for row in rows if _ID.fullmatch(one := str(row.get("execution_id") or ""))), None)
    if execution_id is not None:
        rows += management.log(_FUNCTION % execution_id, *between)
    known = {str(row.get("id") or number): row for number, row in enumerate(rows)}
    lines = sorted((_line(row) for row in known.values()), key=lambda line: line.at)
    return _masked(connection, [line for line in lines if _is_within(line.at, since, until)])


def _ids(call: Call) -> dict[str, str]:
    given = {"request": call.sb_request_id, "execution": call.execution_id}
    return {kind: id for kind, id in given.items() if id and _ID.fullmatch(id)}


def _line(row: dict[str, Any]) -> Line:
    level = str(row.get("level") or row.get("severity_text") or "").lower()
    return Line(_text(row.get("timestamp")), _text(row.get("source")), _text(level), _text(row.get("event_message")))


def _text(found: object) -> str:
    """Return a text of the log without what would steer a terminal; it may have several lines."""
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]+", " ", str(found if found is not None else "")).strip()


def _is_within(at: str, since: datetime, until: datetime) -> bool:
    """Return whether a line is of that time; one whose time cannot be read is."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return True
    return since <= (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) <= until


def _masked(connection: Connection, lines: Sequence[Line]) -> list[Line]:
    """Return the lines as the database masks a text: it knows its secrets by their values, too."""
    if not lines:
        return []
    text = value(connection, "select autosync.mask_secrets(%s)", [_SEPARATOR.join(line.text for line in lines)])
    texts = str(text).split(_SEPARATOR)
    if len(texts) != len(lines):  # the secrets cannot be read: a notice stands for all
        texts = [str(text)] * len(lines)
    return [Line(line.at, line.source, line.level, text) for line, text in zip(lines, texts, strict=True)]


def _call(*, cause: str, **values: Any) -> Call:
    return Call(cause=Cause(cause), **values)
