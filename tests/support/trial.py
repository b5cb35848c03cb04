"""A project in a transaction that is rolled back: a fault is made, looked at and repaired there in milliseconds.

Everything happens in one session, which takes the roles one after the other. Nothing is sent from a transaction, so
what pg_net would have written of a call is written there by the test.
"""

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from autosync_db.health import repair as repairs
from autosync_db.health import verify
from autosync_db.health.model import Report
from autosync_db.jobs.calls import Cause
from tests.support import clusters, health
from tests.support.health import LiveProject, Project
from tests.support.planned import LONG, Planned, Query

R = TypeVar("R")
# pg_cron and pg_net keep the numbers of their tables for as long as a session lasts, and it keeps an empty text of a
# setting that it alone knew
_SPOILS = re.compile(rb"extension|set local pg_net\.ttl|(drop|alter|rename)[^;]*\b(cron|net)\b", re.IGNORECASE)


class Nested(Planned[R]):
    """A session in a transaction: what begins and ends transactions on it makes and leaves savepoints."""

    # whether it may remember what a rollback took away
    is_spoilt = False

    def as_run(self, query: Query) -> Query:
        """Return the statement with savepoints in the place of transactions, and note whether it spoils the session."""
        text = query if isinstance(query, bytes) else query.encode() if isinstance(query, str) else query.as_bytes(self)
        self.is_spoilt |= len(text) < LONG and _SPOILS.search(text) is not None
        return _nested(text) or query


def _nested(text: bytes) -> bytes | None:
    """Return what a statement about transactions is inside of one; None for any other statement."""
    first, _, rest = text.partition(b";")
    match first.split():
        case [b"begin"] | [b"begin", b"read", b"write"]:
            return b"savepoint step;" + rest
        case [b"begin", b"transaction", b"read", b"only"]:
            return b"savepoint step; set transaction read only;" + rest
        case [b"commit"]:
            return b"release step"
        case [b"rollback"]:
            return b"rollback to step; release step"
        case _:
            return None


@dataclass
class Trial(Project):
    """A project in a transaction that is rolled back."""

    session: psycopg.Connection[clusters.Row]

    @property
    def owner(self) -> psycopg.Connection[clusters.Row]:
        """Return the session, as postgres."""
        return self.acting_as("postgres")

    @property
    def admin(self) -> psycopg.Connection[clusters.Row]:
        """Return the session, as a superuser."""
        return self.acting_as("supabase_admin")

    def acting_as(self, role: str) -> psycopg.Connection[clusters.Row]:
        """Return the session as if `role` had opened it a moment ago."""
        self.session.execute(
            f'reset role; set session authorization "{role}"; reset search_path; reset application_name'.encode()
        )
        return self.session

    def report(
        self, only: Collection[str] = (), role: str = "postgres", *, skip: Collection[str] = (), probe: bool = False
    ) -> Report:
        """Run the catalogue as `role`."""
        # within a transaction it would show the sessions of its beginning
        self.session.execute("select pg_stat_clear_snapshot()")
        return verify.run(self.acting_as(role), self.configuration, only, skip, probe=probe)

    def call(self, error: str | None = None, *, timed_out: bool | None = None) -> Cause:
        """Make one scheduled tick, and answer it as the stub is set to or with `error` of pg_net."""
        self.value("select autosync.dispatch(%s)", [self.job_name])
        self._deliver(error, timed_out)
        return Cause(self.value("select cause from autosync.recent_outcomes(%s, 1)", [self.job_name]))

    def _deliver(self, error: str | None = None, timed_out: bool | None = None) -> None:
        stub = self.stub
        limit = int(self.value("select timeout_milliseconds from autosync.job where name = %s", [self.job_name]))
        if error is None and stub.delay_seconds * 1000 > limit:
            error, timed_out = _too_late(limit), True
        answer: tuple[Any, ...] = (None, None, None, timed_out, error)
        if error is None:
            body = stub.body.decode() if isinstance(stub.body, bytes) else stub.body
            answer = (stub.status, body, json.dumps(stub.headers), False, None)
        self.admin.execute(
            "with sent as (delete from net.http_request_queue as q using autosync.invocation as i"
            " where q.id = i.request_id returning q.id)"
            " insert into net._http_response (id, status_code, content, headers, timed_out, error_msg, created)"
            " select id, %s, %s, %s::jsonb, %s, %s, clock_timestamp() from sent",
            answer,
        )
        self.owner.execute("select autosync.settle()")

    def run_by_cron(self) -> str:
        """Run the job's command as its role, as a session of pg_cron's name."""
        command, username = self.admin.execute(
            "select command, username from cron.job where jobname = %s order by jobid limit 1", [self.job_name]
        ).fetchall()[0]
        try:
            with self.session.transaction():
                session = self.acting_as(username)
                session.execute("set local application_name = 'pg_cron'")
                done = session.execute(command.encode())
        except psycopg.Error as error:
            self.record_run("failed", f"ERROR:  {error.diag.message_primary}\n")
            return "failed"
        self.record_run("succeeded", f"{done.rowcount} row" if done.rowcount == 1 else str(done.statusmessage))
        return "succeeded"

    def tick(self) -> None:
        """Let the job run once, and answer what it sent."""
        self.run_by_cron()
        self._deliver()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Take back what happens in the block."""
        before = self.configuration
        with self.admin.transaction(force_rollback=True):
            try:
                yield
            finally:
                self.configuration = before
                self.release()
                self.stub.answer()
                self.stub.judge = None

    def repair(self, *names: str, role: str = "postgres") -> tuple[repairs.Outcome, ...]:
        """Repair these checks as `role`."""
        return health.repaired(self.acting_as(role), self.configuration, names)


def _too_late(limit: int) -> str:
    return (
        f"Timeout of {limit} ms reached. Total time: {limit}.5 ms (DNS time: 0.2 ms,"
        f" TCP/SSL handshake time: 0.6 ms, HTTP Request/Response time: {limit - 1}.7 ms)"
    )


@contextmanager
def begun(project: LiveProject) -> Iterator[Trial]:
    """Yield a live project in a transaction, and roll back. Its session serves the next one, too."""
    if project.trial is None or project.trial.closed:
        project.trial = Nested.open(project.cluster, "supabase_admin")
    session: Nested[clusters.Row] = project.trial
    # not through execute(), which would make a savepoint of it
    bare = psycopg.Cursor(session)
    bare.execute("begin")
    made = Trial(project.cluster, project.stub, project.configuration, session)
    try:
        yield made
    finally:
        made.release()
        project.stub.answer()
        project.stub.judge = None
        try:
            bare.execute("rollback; select pg_advisory_unlock_all()")
        except psycopg.Error:
            session.is_spoilt = True
        if session.is_spoilt:
            session.close()
