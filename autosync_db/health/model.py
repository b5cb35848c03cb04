"""What a check is, and what it can say."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from autosync_db.config import Configuration
from autosync_db.connection import Connection

Layer = Literal[
    "server", "cron", "job", "net", "function", "secrets", "schedules", "security", "retention", "migrations"
]


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Status(StrEnum):
    """A check's verdict, and a report's; BLOCKED: it fails, and another failing check explains it."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"

    @property
    def severity(self) -> int:
        """Order verdicts by how much they matter."""
        return [Status.OK, Status.BLOCKED, Status.WARNING, Status.UNKNOWN, Status.CRITICAL].index(self)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a check's query: a finding about an object.

    Control characters become blanks: what a database or a server says must not steer a terminal or a CI system.
    """

    status: str
    object: str
    detail: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "object", _CONTROL.sub(" ", self.object))
        object.__setattr__(self, "detail", _CONTROL.sub(" ", self.detail))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen, and of which object."""

    object: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement with its reason in one plain sentence, and the findings behind it."""

    status: Status
    summary: str
    evidence: tuple[Evidence, ...] = ()


def judge_rows(rows: list[Row], claim: str) -> Verdict:
    """Return the verdict that a query's rows speak: none is healthy; an `ok` row only says how things are.

    The summary is the worst finding, in the query's own words.
    """
    findings = [row for row in rows if row.status != Status.OK]
    if not findings:
        detail = f"{rows[0].object}: {rows[0].detail}" if rows else claim
        return Verdict(Status.OK, detail, tuple(Evidence(row.object, row.detail) for row in rows))
    worst = max(findings, key=lambda row: Status(row.status).severity)
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return Verdict(
        Status(worst.status),
        f"{worst.object}: {worst.detail}{more}",
        tuple(Evidence(row.object, row.detail) for row in findings),
    )


Judge = Callable[[list[Row], str], Verdict]
Look = Callable[[Connection, Configuration], list[Row]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database said to a check's question, and between which moments of this machine's clock.

    `values` are the rows of the question's query, decoded from JSON. `connection` is for the rare second question, in
    the same read-only transaction.
    """

    values: list[Any]
    asked_at: datetime
    answered_at: datetime
    connection: Connection
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Question:
    """What a check must know to judge in Python: a query of one column `fact` of JSON, and who reads its answer.

    The query is asked in the one statement that all checks share; `read` may raise AutosyncError or a database error.
    """

    query: Callable[[], str]
    read: Callable[[Answer], list[Row]]


@dataclass(frozen=True, slots=True)
class Check:
    """One claim about the healthy world.

    `causes` are the checks whose failure explains a failure of this one; `needs` are those without which it
    cannot look or has nothing to look at, which explains only an `unknown`. `overlaps` are checks that also speak of
    single objects: their failure explains this one's if it names every object that this one names. `remedy` is a
    command or statement that can be run as it is. What a `notable` check has to say is shown even when it is healthy.
    `judge` turns the findings into a verdict.

    The findings are the rows of sql/checks/<id>.sql. A check that compares the database with something that SQL cannot
    see has a `question` instead, or, when no query can know what to ask, a `look`, which costs time of its own. Both
    work in the same read-only transaction, and an error in them means `unknown`. One that `probes` makes calls to the
    function itself: it is run only on demand.
    """

    layer: Layer
    claim: str
    remedy: str | None
    needs: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    repairable: bool = False
    notable: bool = False
    judge: Judge = field(default=judge_rows)
    question: Question | None = None
    look: Look | None = None
    probes: bool = False

    @property
    def has_query(self) -> bool:
        """Whether sql/checks/<id>.sql holds what this check looks at."""
        return self.question is None and self.look is None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check's verdict after the causal graph was applied."""

    id: str
    check: Check
    verdict: Verdict
    blocked_by: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """Return the status to report: blocked when another failing check explains this one."""
        return Status.BLOCKED if self.blocked_by else self.verdict.status
