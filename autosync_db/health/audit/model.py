"""What an audit says; the shape of `audit --format json`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from autosync_db.health.model import Status

Severity = Literal["critical", "warning", "info"]
JobStatus = Literal["ok", "failing", "unknown"]
MatchedBy = Literal["run", "time"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, or could not be seen.

    `matched_by` says how it is known whose it is: `run` by pg_cron's own history, `time` by when a call was answered,
    because pg_net does not keep who asked; None where it is the job's own text or setting.
    """

    id: str
    severity: Severity
    detail: str
    matched_by: MatchedBy | None = None


@dataclass(frozen=True, slots=True)
class AuditedJob:
    """One cron job. `calls` names functions, or host and path of other addresses; none where the text does not say."""

    id: int
    name: str | None
    role: str
    schedule: str
    active: bool
    kind: str
    calls: tuple[str, ...]
    status: JobStatus
    last_run: datetime | None
    findings: tuple[Finding, ...]

    @property
    def title(self) -> str:
        """The name, or the number of a job without one."""
        return self.name if self.name is not None else f"(unnamed, {self.id})"


@dataclass(frozen=True, slots=True)
class Audit:
    """All jobs of a database that the role can see, and what belongs to none of them."""

    target: str
    role: str
    database: str
    checked_at: datetime
    jobs: tuple[AuditedJob, ...]
    findings: tuple[Finding, ...]
    has_unseen: bool  # something was hidden from the role, or could not be read

    @property
    def status(self) -> Status:
        """The worst there is; what could not be seen is worse than a warning, as in verify."""
        severities = {found.severity for found in self.all_findings}
        if "critical" in severities:
            return Status.CRITICAL
        if self.has_unseen:
            return Status.UNKNOWN
        return Status.WARNING if "warning" in severities else Status.OK

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Those of the jobs and those of none."""
        return (*(found for job in self.jobs for found in job.findings), *self.findings)

    @property
    def importable(self) -> tuple[AuditedJob, ...]:
        """The jobs that `jobs import` would look at."""
        return tuple(job for job in self.jobs if job.kind != "autosync")
