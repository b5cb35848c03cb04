"""What is known of a project that is watched, and what is new in each message about it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autosync_db.health.model import Report
from autosync_db.health.status import Due, JobStatus
from autosync_db.jobs.calls import Invocation
from autosync_db.jobs.one_call import Call

# a run of a statement that has not ended
_RUNNING = {"starting", "running", "connecting", "sending"}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something was not done or not seen, and what to do."""

    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What a look saw, by the server's clock; `coming` is when each job ticks next, where that is foreseen."""

    at: datetime
    jobs: tuple[JobStatus, ...]
    coming: dict[str, datetime | None]
    calls: tuple[Invocation, ...]  # the newest first
    settled: tuple[Invocation, ...]  # since the look before, the oldest first
    schedules: Due


@dataclass(frozen=True, slots=True)
class Verified:
    """A verdict, or why there is none, and how many seconds that took."""

    at: datetime
    report: Report | None
    failure: Failure | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Lost:
    """No look is possible since then; `is_gone`: the server does not answer, or lets nobody in."""

    since: datetime
    failure: Failure
    place: str
    is_gone: bool

    @property
    def sentence(self) -> str:
        """Return that in words."""
        if self.is_gone:
            return f"no answer from {self.place} since {self.since:%H:%M:%S} UTC, trying again"
        return f"could not look at {self.place} since {self.since:%H:%M:%S} UTC, trying again"


@dataclass(frozen=True, slots=True)
class Found:
    """A call, and the address of the function's log."""

    call: Call
    where: str | None


@dataclass(frozen=True, slots=True)
class Fired:
    """What came of a job that was run from here."""

    job: str
    succeeded: bool
    text: str
    hint: str | None = None


# an exception is a bug, which ends the command
Message = Look | Verified | Lost | Exception


@dataclass(frozen=True, slots=True)
class Settled:
    """A call has an outcome."""

    at: datetime
    call: Invocation


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of a job that makes no calls has ended."""

    at: datetime
    job: JobStatus


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict is another one than before."""

    at: datetime
    report: Report


@dataclass(frozen=True, slots=True)
class Gone:
    """No look is possible any more."""

    at: datetime
    lost: Lost


@dataclass(frozen=True, slots=True)
class Back:
    """Looks are possible again."""

    at: datetime
    place: str
    after: timedelta


Event = Settled | Ran | Judged | Gone | Back


@dataclass
class Picture:
    """All that is known: the last look, the last verdict, and whether the server is lost."""

    look: Look | None = None
    verified: Verified | None = None
    failed: Verified | None = None  # the newest verify, where it could not look
    lost: Lost | None = None
    _verdict: object = field(default=None, repr=False)

    def take(self, message: Look | Verified | Lost) -> list[Event]:
        """Add what a message says, and return what is new in it."""
        match message:
            case Look():
                return self._looked(message)
            case Verified():
                return self._judged(message)
            case Lost():
                is_new = self.lost is None
                self.lost = message
                return [Gone(message.since, message)] if is_new else []

    def _looked(self, look: Look) -> list[Event]:
        before = {one.job.name: (one.last_run_at, one.last_run_status) for one in self.look.jobs} if self.look else {}
        events: list[Event] = []
        if self.lost:
            events.append(Back(look.at, self.lost.place, look.at - self.lost.since))
        events += [Settled(look.at, call) for call in look.settled]
        events += [
            Ran(look.at, one)
            for one in look.jobs
            if not one.job.makes_calls
            and one.job.name in before
            and one.last_run_status not in {None, *_RUNNING}
            and before[one.job.name] != (one.last_run_at, one.last_run_status)
        ]
        self.look, self.lost = look, None
        return events

    def _judged(self, verified: Verified) -> list[Event]:
        if verified.report is None:
            self.failed = verified
            return []
        self.verified, self.failed = verified, None
        report = verified.report
        verdict = (report.status, {(root.id, root.job, root.status) for root in report.root_causes})
        is_new, self._verdict = verdict != self._verdict, verdict
        return [Judged(verified.at, report)] if is_new else []
