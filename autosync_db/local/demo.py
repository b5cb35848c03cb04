"""The whole chain at work, from nothing: what `make demo` shows and what it demands."""

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from autosync_db import config, cron
from autosync_db.config import Configuration, Settings, ShortJob
from autosync_db.connection import Connection, connect, value
from autosync_db.errors import CheckFailedError, ExitCode, UnreachableError
from autosync_db.health import verify
from autosync_db.health.model import Report
from autosync_db.jobs import calls
from autosync_db.local.stack import Stack
from autosync_db.progress import Onward, Reporter, Step
from autosync_db.schema import preflight
from autosync_db.setup.decision import Given
from autosync_db.setup.run import run as run_setup

STEPS = ("stack", "database", "migrate", "secrets", "job", "call", "schedules", "tick", "verify")
SCHEDULE = "* * * * *"
# what lets pg_cron fire at once: where it knows no seconds, the schedule that it runs when it starts
_SECONDS, _AT_START = "2 seconds", "@reboot"
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

    def describe(self, schedule: str) -> str:
        """Return the whole way in words; `schedule` is what pg_cron fired it by."""
        why = {
            _AT_START: " (its minute was not waited for: set to @reboot, the server restarted)",
            _SECONDS: f" (its minute was not waited for: set to {_SECONDS})",
        }
        return (
            f"{self.tick_id} by pg_cron at {self.ticked_at:%H:%M:%S} UTC{why.get(schedule, '')}: run {self.run_id}"
            f" {self.run_status}, request {self.request_id} answered {self.status_code},"
            f" {self.schedules_synced} schedules synced"
        )

    def complete(self, schedules: int) -> bool:
        """Whether every link is there."""
        return (
            self.run_status == "succeeded"
            and self.status_code == 200
            and self.outcome == "ok"
            and self.schedules_synced == schedules
        )


def run(stack: Stack, *, keep: bool, reporter: Reporter) -> Report:
    """Start the stack, set it up, add two schedules, let pg_cron tick for real, and verify.

    Raises CheckFailedError when no tick completes the chain in time. What was started here is stopped again unless
    `keep`; a stack that ran before is left running.
    """
    was_running = stack.is_running()
    reporter.begins("stack")
    try:
        stack.up(say=reporter.doing)
        for part in stack.status():
            reporter.done(Step("stack", f"{part.name}: {part.detail}", False))
        return _show(stack, reporter, may_restart=not was_running)
    finally:
        if not keep and not was_running:
            reporter.doing("stopping what was started")
            stack.down()


def onward(*, is_running: bool) -> tuple[Onward, ...]:
    """Return what to look at next: at the stack while it runs, else how to keep it and how to begin with a project."""
    if is_running:
        return (
            Onward("autosync-db verify --target local", "each minute pg_cron ticks: look again"),
            Onward("autosync-db secrets delete service_role_key --target local", "break a link, then verify"),
            Onward("autosync-db local down --purge", "stop it, and delete what was made"),
        )
    return (
        Onward("autosync-db local demo --keep", "the same, and it goes on running"),
        Onward("autosync-db init", "start with your own project, then: autosync-db setup"),
        Onward("autosync-db audit", "what the cron jobs of a database do today"),
    )


def _show(stack: Stack, reporter: Reporter, *, may_restart: bool) -> Report:
    loaded = config.load(config.Flags(target=config.LOCAL_TARGET))
    settings = Settings(job=ShortJob(schedule=SCHEDULE))
    configuration = Configuration(settings, loaded.target, loaded.source)
    run_setup(configuration, Given(loaded.target.project_url, stack.service_key), reporter)
    reporter.begins("schedules")
    job = settings.main.name
    with connect(loaded.target.database_url) as connection:
        before = _now(connection)  # a tick may come as soon as a schedule is there
        schedules = [_add_schedule(connection, minutes) for minutes in (15, 60)]
        reporter.done(Step("schedules", f"{len(schedules)} added, due now", True))
        hurried = _hurry(connection, job, may_restart=may_restart)
    reporter.begins("tick")
    try:
        if hurried == _AT_START:
            reporter.doing("restarting PostgreSQL")
            stack.restart_database()
        with connect(loaded.target.database_url) as connection:
            proof = _await_tick(connection, job, schedules, before, reporter)
    finally:
        # a server that did not start again says so itself
        with suppress(UnreachableError), connect(loaded.target.database_url) as connection:
            _reschedule(connection, job, SCHEDULE)
    reporter.done(Step("tick", proof.describe(hurried), False))
    reporter.begins("verify")
    reporter.doing("verifying")
    with connect(loaded.target.database_url) as connection:
        report = verify.run(connection, configuration)
    said = f"{len(report.healthy)} of {len(report.by_check)} checks are ok"
    reporter.done(Step("verify", said, False, report.exit_code() == ExitCode.OK))
    return report


def _hurry(connection: Connection, job: str, *, may_restart: bool) -> str:
    """Let pg_cron fire before its next full minute, and return the schedule with which it does.

    One that knows seconds gets such a schedule. An older one fires what is to run at its start, if it may be restarted.
    """
    version = preflight.pg_cron_version(connection)
    schedule = _SECONDS if cron.misreading(_SECONDS, version) is None else _AT_START if may_restart else SCHEDULE
    if schedule != SCHEDULE:
        _reschedule(connection, job, schedule)
    return schedule


def _reschedule(connection: Connection, job: str, schedule: str) -> None:
    connection.execute(
        "select cron.alter_job(c.jobid, schedule := %s) from cron.job as c where c.jobname = %s and c.schedule <> %s",
        [schedule, job, schedule],
    )


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
    reporter: Reporter,
) -> Proof:
    started = time.monotonic()
    proof: Proof | None = None
    most = PATIENCE.total_seconds()
    while (waited := time.monotonic() - started) < most:
        connection.execute("select autosync.settle()")
        found = connection.execute(_PROOF, {"schedules": schedules, "job": job_name, "after": after}).fetchone()
        proof = Proof(*found) if found else proof
        if proof and proof.complete(len(schedules)):
            return proof
        reporter.doing(f"waiting for a real pg_cron tick ({waited:.0f} s of at most {most:.0f})")
        time.sleep(_POLL_SECONDS)
    raise CheckFailedError(
        f"the newest tick did not complete the chain: {proof}" if proof else "pg_cron made no tick in time",
        hint="find the cause with: autosync-db verify --target local",
    )
