"""What a check can say."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from autosync_db.plain import without_controls
from autosync_db.supabase import key


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
    """One row of a check's query: a finding about an object, in words for people and as facts for programs.

    Control characters in the words become blanks: nothing that is said must steer a terminal or a CI system. What has
    the form of a secret is masked: the message of a run that failed may hold any. The keys of the facts are described
    in docs/reference/schemas/verify.schema.json; names in them are exact.
    """

    status: str
    object: str
    detail: str
    facts: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "object", without_controls(key.redact(self.object)))
        object.__setattr__(self, "detail", without_controls(key.redact(self.detail)))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen, and of which object: people read `detail`, programs read `facts` (see Row)."""

    object: str
    detail: str
    facts: dict[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement with its reason in one plain sentence, and the findings behind it.

    `locked_out`: another session's lock kept it from looking. `lacking`: what it looks at is not there."""

    status: Status
    summary: str
    evidence: tuple[Evidence, ...] = ()
    locked_out: bool = False
    lacking: bool = False


def judge_rows(rows: list[Row], claim: str) -> Verdict:
    """Return the verdict that a query's rows speak: none is healthy, `ok` only informs; the worst is the summary."""
    findings = [row for row in rows if row.status != Status.OK]
    if not findings:
        detail = f"{rows[0].object}: {rows[0].detail}" if rows else claim
        return Verdict(Status.OK, detail, _evidence(rows))
    worst = max(findings, key=lambda row: Status(row.status).severity)
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return Verdict(
        Status(worst.status),
        f"{worst.object}: {worst.detail}{more}",
        _evidence(findings),
    )


def _evidence(rows: list[Row]) -> tuple[Evidence, ...]:
    return tuple(Evidence(row.object, row.detail, row.facts) for row in rows)
