"""One schedule, run now: it is made due, a normal tick is made for it, and its outcome is waited for."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from autosync_db.config import Settings
from autosync_db.connection import Connection, rows, value
from autosync_db.errors import CheckFailedError, UsageError
from autosync_db.jobs import calls, registry
from autosync_db.jobs.calls import Cause, Invocation
from autosync_db.jobs.registry import Job
from autosync_db.schedules import table
from autosync_db.schedules.table import Schedule

_TABLE = "auto_sync_schedules"
_POLL_SECONDS = 0.2
# a function records the run before it answers, and pg_net writes the answer down a moment later
_ANSWER_SECONDS = 2.0
# what a run changes
_RUN = """
    select s.last_run_at, s.claim_expires_at > clock_timestamp()
    from public.auto_sync_schedules as s
    where s.id = %s
"""
_BEFORE_IT = """
    select count(*)
    from (
        select from public.auto_sync_schedules as s
        where s.enabled and s.next_run_at <= now() and s.id <> %s
        limit 10001
    ) as d
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it: `has_run` says whether the outcome in `schedule` is that of this run."""

    job: str
    tick_id: int
    decision: str
    has_run: bool
    is_claimed: bool
    others_due: int
    schedule: Schedule
    calls: list[Invocation]


def run(
    connection: Connection,
    settings: Settings,
    id: uuid.UUID,
    *,
    wait: bool = True,
    say: Callable[[str], None] | None = None,
) -> Run:
    """Run a schedule now by a tick as pg_cron makes it, which runs what else is due, too, and no more than that.

    Raises UsageError where it may not run now, or no job would run it; nothing is changed then.
    """
    job = _job(connection, settings)
    with connection.transaction():
        [(before, _)] = rows(connection, _RUN, [id]) or [(None, None)]
        table.make_due(connection, id)
        tick_id = calls.trigger(connection, job.name, force=False)
    decision = value(connection, "select t.decision from autosync.tick as t where t.id = %s", [tick_id])
    # these make no call
    waits = wait and decision not in {"idle", "paused", "backlogged"}
    deadline = time.monotonic() + (job.patience + calls.GRACE if waits else timedelta()).total_seconds()
    started = time.monotonic()
    has_run = False
    while True:
        connection.execute("select autosync.settle()")
        answers = calls.of_tick(connection, job.name, tick_id)
        found = rows(connection, _RUN, [id])
        if not found:
            raise UsageError(
                f"schedule {id} was deleted in the meantime", hint="list them with: autosync-db schedules list"
            )
        [(last_run_at, is_claimed)] = found
        if last_run_at != before and not has_run:
            has_run = True
            deadline = min(deadline, time.monotonic() + _ANSWER_SECONDS)
        is_over = has_run or (bool(answers) and not is_claimed)
        if (is_over and all(one.settled_at is not None for one in answers)) or time.monotonic() >= deadline:
            break
        if say:
            say(f"waiting for the outcome ({time.monotonic() - started:.0f} s)")
        time.sleep(_POLL_SECONDS)
    others = 0 if has_run else int(value(connection, _BEFORE_IT, [id]))
    schedule, _ = table.get(connection, id)
    return Run(job.name, tick_id, decision, has_run, bool(is_claimed), others, schedule, answers)


def require_success(found: Run) -> None:
    """Raise CheckFailedError unless the schedule was run and did not fail."""
    schedule = found.schedule
    if found.has_run:
        if schedule.last_run_status == "failed":
            raise CheckFailedError(
                f"the run failed: {schedule.reason or 'the function gave no reason'}",
                hint=f"see the log of the function that the job {found.job} calls",
            )
        return
    for answer in found.calls:
        if answer.cause not in {Cause.OK, Cause.PENDING}:
            raise CheckFailedError(
                f"the schedule was not run, as the call did not succeed: {answer.account}",
                hint="find the cause with: autosync-db verify; the schedule stays due",
            )
    shown = f"autosync-db schedules show {schedule.id}"
    if found.is_claimed:
        raise CheckFailedError("the run has begun and not ended yet", hint=f"see the outcome with: {shown}")
    if not found.calls:
        raise CheckFailedError(
            f"no call was made, the tick is {found.decision}", hint="find the cause with: autosync-db verify"
        )
    if any(answer.cause is Cause.PENDING for answer in found.calls):
        raise CheckFailedError("the call has no answer yet", hint=f"see the outcome with: {shown}")
    raise CheckFailedError(
        f"the call succeeded, and did not run this schedule; {found.others_due} others are due",
        hint=f"it stays due, for the next call; see: {shown}",
    )


def _job(connection: Connection, settings: Settings) -> Job:
    """Return the job whose calls claim schedules: the main one if it does, else the first that ticks."""
    draining = [job for job in registry.all_jobs(connection) if job.drains == _TABLE and job.makes_calls]
    if not draining:
        raise UsageError(
            "no job runs the schedules", hint='give one drains = "auto_sync_schedules", then: autosync-db setup'
        )
    main = registry.registered(connection, settings).main.name
    draining.sort(key=lambda job: (job.paused_at is not None or not job.enabled, job.name != main))
    first = draining[0]
    if first.paused_at is not None:
        raise UsageError(
            f"the job {first.name}, which runs the schedules, is {first.state}",
            hint=f"let it tick again with: autosync-db jobs resume {first.name}",
        )
    if not first.enabled:
        raise UsageError(
            f"the job {first.name}, which runs the schedules, is {first.state}",
            hint="remove enabled = false from it, then: autosync-db setup",
        )
    return first
