"""A project as `watch` sees it, with fixed data and a fixed clock, and its screen as lines of text."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from textual.pilot import Pilot

from autosync_db.health import catalogue
from autosync_db.health.model import CheckResult, Evidence, Report, Status, Verdict
from autosync_db.health.picture import Failure, Fired, Found, Look, Message, Verified
from autosync_db.health.status import Due, JobStatus
from autosync_db.jobs.calls import Cause, Invocation
from autosync_db.jobs.one_call import Call
from autosync_db.jobs.registry import Job
from autosync_db.report.watch.app import WatchApp

NOW = datetime(2026, 11, 28, 3, 10, tzinfo=UTC)
SUBJECT = "production  db.example.com:5432  project abcdefghijklmnopqrst"
OUTCOMES: dict[Cause, dict[str, Any]] = {
    Cause.OK: {},
    Cause.PENDING: {"status_code": None, "outcome": "pending", "settled_at": None, "body_excerpt": None},
    Cause.KEY: {
        "status_code": 401,
        "error_code": "UNAUTHORIZED_LEGACY_JWT",
        "answered_by": "the gateway",
        "body_excerpt": '{"message":"Legacy API keys are disabled"}',
    },
    Cause.FUNCTION: {"status_code": 500, "outcome": "failed", "body_excerpt": '{"error":"relation x is missing"}'},
    Cause.SLOW: {"status_code": None, "outcome": "timeout", "error_message": "Timeout of 30000 ms reached"},
}


def job(name: str, **changes: Any) -> Job:
    """Return an active job that calls the function of its name."""
    values: dict[str, Any] = {
        "name": name, "kind": "function", "function": name, "url": None, "sql": None, "schedule": "*/5 * * * *",
        "timeout": timedelta(seconds=30), "invoke": "always", "drains": None, "overlap": "allow", "auth": "service_key",
        "reports_within": None, "enabled": True, "paused_at": None, "paused_by": None, "cron_id": 3,
        "cron_schedule": "*/5 * * * *", "active": True,
    }  # fmt: skip
    return Job(**values | changes)


def call(id: int, cause: Cause = Cause.OK, name: str = "daily-report", **changes: Any) -> Invocation:
    """Return a call, ten seconds older than that of the next number; number 100 is of now."""
    values: dict[str, Any] = {
        "job": name, "id": id, "tick_id": id, "request_id": id, "queued_at": NOW - timedelta(seconds=10 * (100 - id)),
        "settled_at": NOW, "timeout_milliseconds": 30000, "outcome": "succeeded", "status_code": 200,
        "error_code": None, "error_message": None, "body_excerpt": '{"ok":true}', "cause": cause, "proof": "ok",
    }  # fmt: skip
    return Invocation(**values | OUTCOMES[cause] | changes)


def full(found: Invocation) -> Call:
    """Return all that the ledger has of a call."""
    shared = {name: getattr(found, name) for name in Invocation.__slots__ if name in Call.__slots__}
    return Call(
        **shared, function="daily-report", attempt=1, idempotency_key=UUID(int=found.id), answered_at=found.settled_at,
        report_due_at=None, function_milliseconds=120, counts=None, sb_request_id=None, execution_id=None,
    )  # fmt: skip


def look(
    calls: Sequence[Invocation] = (), jobs: Sequence[Job] = (job("daily-report"),), due: Due | None = None, **runs: Any
) -> Look:
    """Return what a look sees of these jobs: the first ticks in 123 s, each next one a minute later."""
    seen = []
    for one in jobs:
        newest = next((found for found in calls if found.job == one.name), None)
        ran = runs.get(one.name.replace("-", "_"), (None, None, None))
        seen.append(JobStatus(one, NOW - timedelta(seconds=177) if newest else None, "posted", newest, *ran))
    coming = {
        one.name: NOW + timedelta(seconds=123 + 60 * number) if one.state == "active" else None
        for number, one in enumerate(jobs)
    }
    return Look(NOW, tuple(seen), coming, tuple(calls), (), due or Due(12, 0, 0, NOW + timedelta(minutes=4)))


def verified(*failing: tuple[str, Status, str, str | None], jobs: Sequence[str] = ("daily-report",)) -> Verified:
    """Return a verdict twelve seconds old: of each failing check its id, status, evidence and job."""
    results = tuple(
        CheckResult(id, catalogue.find(id), Verdict(status, said, (Evidence(job or "database", said),)), job=job)
        for id, status, said, job in failing
    )
    at = NOW - timedelta(seconds=12)
    return Verified(at, Report("production", tuple(jobs), at, results), None, 1.2)


@dataclass
class Prepared:
    """A watcher that says what a test lets it say, and remembers what it was asked."""

    messages: Sequence[Message] = ()
    calls: dict[int, Found | Failure] = field(default_factory=dict)
    fired: list[str] = field(default_factory=list)
    result: Fired | None = None
    tell: Callable[[Message], None] = lambda message: None

    def now(self) -> datetime:
        """Return the fixed time."""
        return NOW

    def start(self, tell: Callable[[Message], None]) -> None:
        """Say everything."""
        self.tell = tell
        for message in self.messages:
            tell(message)

    def ask(self, id: int, answer: Callable[[Found | Failure], None]) -> None:
        """Answer at once."""
        answer(self.calls.get(id, Failure(f"there is no call {id}")))

    def fire(self, name: str, say: Callable[[str], None], done: Callable[[Fired], None]) -> None:
        """Remember it."""
        self.fired.append(name)
        say("waiting for the function's answer (0 s)")
        done(self.result or Fired(name, True, "200"))

    def verify_soon(self) -> None:
        """Do nothing."""


def lines(app: WatchApp) -> list[str]:
    """Return what the terminal shows, line by line."""
    return ["".join(part.text for part in strip).rstrip() for strip in app.screen._compositor.render_strips()]


def screens(source: Prepared, sizes: Sequence[tuple[int, int]], *keys: str) -> list[list[str]]:
    """Return the screen after these keys, in each size: the first is that of the start, the others come by resizing."""

    async def shown() -> list[list[str]]:
        app, found = WatchApp(source, SUBJECT, "2 s"), []
        async with app.run_test(size=sizes[0]) as pilot:
            await pilot.pause()
            for key in keys:
                await pilot.press(key)
                await pilot.pause()
            for size in sizes:
                if app.size != size:
                    await pilot.resize_terminal(*size)
                    await pilot.pause()
                await pilot.pause()
                found.append(lines(app))
        if app.trouble:
            raise app.trouble
        return found

    return asyncio.run(shown())


def screen(source: Prepared, *keys: str) -> list[str]:
    """Return the screen after these keys, in the size of most terminals."""
    return screens(source, [(80, 24)], *keys)[0]


async def until(pilot: Pilot[None], app: WatchApp, text: str, patience: float = 20) -> list[str]:
    """Return the screen once it has a text on it."""
    deadline = asyncio.get_running_loop().time() + patience
    while text not in "\n".join(lines(app)):
        assert asyncio.get_running_loop().time() < deadline, "\n".join([f"waited in vain for {text!r} on", *lines(app)])
        await pilot.pause(0.05)
    return lines(app)
