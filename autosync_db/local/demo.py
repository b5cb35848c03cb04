"""The whole chain at work, from nothing: what `make demo` shows and what it demands."""

import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from autosync_db import config
from autosync_db.config import Configuration, Settings, ShortJob
from autosync_db.connection import Connection, connect, value
from autosync_db.errors import CheckFailedError
from autosync_db.health import verify
from autosync_db.health.model import Report
from autosync_db.jobs import calls
from autosync_db.local.stack import Stack
from autosync_db.progress import Reporter
from autosync_db.setup.decision import Given
from autosync_db.setup.run import run as run_setup

SCHEDULE = "* * * * *"
# the next minute, plus the call's own time limit
PATIENCE = timedelta(seconds=60) + ShortJob().timeout + calls.GRACE
_POLL_SECONDS = 0.5

# a tick counts when pg_cron's own history has a run of that very backend, the request it queued was answered with
# 200, and the function wrote back to every schedule afterwards
_PROOF = """
select t.id, t.ticked_at, d.runid, d.status, i.request_id, i.status_code, i.outcome,
    (select count(*) from public.auto_sync_schedules as s
        where s.id = any(%(schedules)s) and s.last_run_at >= t.ticked_at and s.last_run_status = 'success') as synced
from autosync.job as k
join autosync.tick as t on t.job_id = k.id
join cron.job_run_details as d
    on d.job_pid = t.backend_pid and d.start_time between t.ticked_at - interval '5 seconds' and t.ticked_at
join cron.job as j on j.jobid = d.jobid and j.jobname = k.name
join autosync.invocation as i on i.tick_id = t.id
where k.name = %(job)s and t.ticked_at > %(after)s and t.caller = 'pg_cron'
order by synced desc, t.id desc
limit 1
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """A real tick, followed from pg_cron's history to what the function wrote back."""

    tick_id: int
    ticked_at: datetime
    run_id: int
    run_status: str
    request_id: int
    status_code: int | None
    outcome: str
    schedules_synced: int

    def complete(self, schedules: int) -> bool:
        """Whether every link is there."""
        return (
            self.run_status == "succeeded"
            and self.status_code == 200
            and self.outcome == "ok"
            and self.schedules_synced == schedules
        )


def run(
    stack: Stack,
    *,
    keep: bool,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Callable[[str], None]]],
) -> Report:
    """Start the stack, set it up, add two schedules, wait for a real pg_cron tick to sync them, and verify.

    Raises CheckFailedError when no tick completes the chain in time. What was started here is stopped again unless
    `keep`; a stack that ran before is left running.
    """
    was_running = stack.is_running()
    try:
        with progress("starting the local stack") as doing:
            stack.up(say=doing)
        for part in stack.status():
            say(f"{part.name:<9} {part.detail}")
        return _show(stack, say, progress)
    finally:
        if not keep and not was_running:
            with progress("stopping what was started"):
                stack.down()


def _show(
    stack: Stack,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Callable[[str], None]]],
) -> Report:
    loaded = config.load(config.Flags(target=config.LOCAL_TARGET))
    settings = Settings(job=ShortJob(schedule=SCHEDULE))
    configuration = Configuration(settings, loaded.target, loaded.source)
    with progress("setting up") as doing:
        run_setup(
            configuration,
            Given(loaded.target.project_url, stack.service_key),
            Reporter(lambda step: say(f"{step.name:<9} {step.result}"), doing),
        )
    with connect(loaded.target.database_url) as connection:
        before = _now(connection)  # a tick may come as soon as a schedule is there
        schedules = [_add_schedule(connection, minutes) for minutes in (15, 60)]
        say(f"schedules {len(schedules)} added, due now; waiting for pg_cron's next minute")
        proof = _await_tick(connection, settings.main.name, schedules, before, progress)
        say(
            f"tick      {proof.tick_id} at {proof.ticked_at:%H:%M:%S} UTC: cron run {proof.run_id} {proof.run_status}, "
            f"request {proof.request_id} answered {proof.status_code}, {proof.schedules_synced} schedules synced"
        )
        return verify.run(connection, configuration)


def _add_schedule(connection: Connection, frequency_minutes: int) -> uuid.UUID:
    found: uuid.UUID = value(
        connection,
        "insert into public.auto_sync_schedules (integration_id, organization_id, enabled, frequency_minutes)"
        " values (gen_random_uuid(), gen_random_uuid(), true, %s) returning id",
        [frequency_minutes],
    )
    return found


def _now(connection: Connection) -> datetime:
    found: datetime = value(connection, "select clock_timestamp()")
    return found


def _await_tick(
    connection: Connection,
    job_name: str,
    schedules: list[uuid.UUID],
    after: datetime,
    progress: Callable[[str], AbstractContextManager[Callable[[str], None]]],
) -> Proof:
    started = time.monotonic()
    proof: Proof | None = None
    with progress("waiting for a real pg_cron tick") as doing:
        while (waited := time.monotonic() - started) < PATIENCE.total_seconds():
            connection.execute("select autosync.settle()")
            found = connection.execute(_PROOF, {"schedules": schedules, "job": job_name, "after": after}).fetchone()
            proof = Proof(*found) if found else proof
            if proof and proof.complete(len(schedules)):
                return proof
            doing(f"waiting for a real pg_cron tick ({waited:.0f} s of at most {PATIENCE.total_seconds():.0f})")
            time.sleep(_POLL_SECONDS)
    raise CheckFailedError(
        f"the newest tick did not complete the chain: {proof}" if proof else "pg_cron made no tick in time",
        hint="find the cause with: autosync-db verify --target local",
    )
