"""A project that is watched: a short look again and again, the verdict less often, and what is new in them.

One session looks, in read-only transactions of milliseconds; verify has a session of its own, and so has a job that is
fired. An answer that does not come in time ends its session: the next look makes another one.
"""

import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import psycopg

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect, value
from autosync_db.connection.url import shown_place
from autosync_db.errors import AutosyncError, UnreachableError
from autosync_db.health import status, verify
from autosync_db.health.model import Report
from autosync_db.health.picture import Failure, Fired, Found, Look, Lost, Message, Verified
from autosync_db.jobs import calls, firing, one_call, registry
from autosync_db.jobs.calls import Cause, Invocation
from autosync_db.supabase import key

# what is kept on a screen, and how far back a call may be that comes late: its number was given before others
SHOWN, _LATE = 50, 100
_LIMITS = "set local statement_timeout = '5s'; set local lock_timeout = '1s'"
LOOK_SECONDS = 10.0
_VERIFY_SECONDS = 90.0
_RETRY_SECONDS = (0.5, 1, 2, 3, 5)
# a look may take a quarter of the time, verify a twentieth
_REST, _VERIFY_REST = 3, 20
VERIFY_EVERY = timedelta(seconds=60)
_VERIFY_GAP = 10.0
_JOIN_SECONDS = 2.0


class Ledger:
    """Which calls have been seen to settle."""

    def __init__(self) -> None:
        self._begin: int | None = None
        self._newest = 0
        self._pending: set[int] = set()
        self._settled: set[int] = set()

    @property
    def first(self) -> int | None:
        """The number from which on calls must be looked at; None before the first look."""
        if self._begin is None:
            return None
        return min(self._pending | {max(self._begin, self._newest - _LATE)})

    def settle(self, found: Sequence[Invocation]) -> list[Invocation]:
        """Return the calls that have settled since the last look, the oldest first; at the first look none has."""
        settled = {call.id for call in found if call.cause is not Cause.PENDING}
        new: list[Invocation] = []
        if self._begin is not None:
            new = [
                call
                for call in found
                if call.id in settled - self._settled and (call.id > self._begin or call.id in self._pending)
            ]
        self._newest = max([self._newest, *(call.id for call in found)])
        self._begin = self._newest if self._begin is None else self._begin
        self._settled |= settled
        self._pending = {call.id for call in found} - settled
        self._settled = {id for id in self._settled if id >= (self.first or 0)}
        return sorted(new, key=lambda call: (call.queued_at, call.id))


class Watcher:
    """Looks at one project until it is ended. `begin` looks once; `start` goes on in threads and tells what it sees."""

    def __init__(self, configuration: Configuration, names: Sequence[str] = (), *, every: timedelta) -> None:
        self._configuration, self._names, self._every = configuration, tuple(names), every
        self._url = configuration.target.database_url
        self.place = shown_place(self._url)
        self._tell: Callable[[Message], None] = lambda message: None
        self._ledger = Ledger()
        self._ended, self._woken, self._verify = threading.Event(), threading.Event(), threading.Event()
        self._hurry = False
        self._asked: queue.SimpleQueue[tuple[int, Callable[[Found | Failure], None]]] = queue.SimpleQueue()
        self._open: set[Connection] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._ahead = timedelta()  # of the server's clock before ours
        self._first: Look | None = None
        self._lost: Lost | None = None

    def now(self) -> datetime:
        """Return the time on the server's clock, as far as it is known."""
        return datetime.now(UTC) + self._ahead

    def begin(self) -> None:
        """Look for the first time. Raises what a command raises that cannot look."""
        with self._connected() as connection, self._deadline(connection, LOOK_SECONDS):
            self._first = self._look(connection)

    def start(self, tell: Callable[[Message], None]) -> None:
        """Go on looking; `tell` is called from other threads. First it gets what `begin` saw."""
        self._tell = tell
        if self._first:
            tell(self._first)
        self._thread(self._look_on)
        self._thread(self._verify_on)

    def end(self) -> None:
        """End all threads and their sessions; what was fired goes on in the database."""
        self._tell = lambda message: None
        self._ended.set()
        self._woken.set()
        self._verify.set()
        with self._lock:
            for connection in self._open:
                _cut(connection)
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def verify_soon(self) -> None:
        """Find the verdict again, though not more often than every ten seconds."""
        self._verify.set()

    def ask(self, id: int, answer: Callable[[Found | Failure], None]) -> None:
        """Find all that is known of a call; `answer` is called from another thread."""
        self._asked.put((id, answer))
        self._woken.set()

    def fire(self, name: str, say: Callable[[str], None], done: Callable[[Fired], None]) -> None:
        """Run a job now as `jobs trigger` does, in a session of its own; both are called from another thread."""

        def run() -> None:
            try:
                with connect(self._url) as connection:
                    job = firing.ready(connection, self._configuration, name)
                    result = Fired(name, True, firing.fire(connection, job, say))
            except (AutosyncError, psycopg.Error) as error:
                failure = self._failure(error)
                result = Fired(name, False, failure.message, failure.hint)
            self._hurry = True
            self._woken.set()
            done(result)

        threading.Thread(target=self._guarded(run), name=f"fire {name}", daemon=True).start()

    def _thread(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._guarded(work), name=work.__name__, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _guarded(self, work: Callable[[], None]) -> Callable[[], None]:
        """Return the work such that a bug in it ends the command as any bug does."""

        def run() -> None:
            try:
                work()
            except Exception as bug:  # the command's own thread raises it
                self._tell(bug)

        return run

    def _look_on(self) -> None:
        failed = 0
        while self._goes_on():
            try:
                with self._connected() as connection:
                    while self._goes_on():
                        started = time.monotonic()
                        with self._deadline(connection, LOOK_SECONDS):
                            found = self._look(connection)
                        if self._lost:
                            self.verify_soon()
                        failed, self._lost = 0, None
                        self._tell(found)
                        took = time.monotonic() - started
                        self._pause(max(self._every.total_seconds(), _REST * took), connection)
            except (AutosyncError, psycopg.Error) as error:
                if not self._goes_on():
                    return
                failure = self._failure(error)
                wait = _RETRY_SECONDS[min(failed, len(_RETRY_SECONDS) - 1)]
                failed += 1
                since = self._lost.since if self._lost else self.now()
                self._lost = Lost(since, failure, self.place, is_gone=isinstance(error, UnreachableError))
                self._tell(self._lost)
                self._pause(wait)

    def _look(self, connection: Connection) -> Look:
        with _reading(connection):
            now = value(connection, "select clock_timestamp()")
            self._ahead = now - datetime.now(UTC)
            names = registry.spoken_of(connection, self._configuration.settings, self._names)
            jobs = status.of_jobs(connection, names)
            callers = [one.job.name for one in jobs if one.job.makes_calls]
            found = calls.of_each(connection, callers, SHOWN, first=self._ledger.first)
            schedules = status.due(connection)
        settled = self._ledger.settle(found)
        if any(self._turned(call, found) for call in settled):
            self.verify_soon()
        coming = {one.job.name: one.next_tick(now) for one in jobs}
        return Look(now, tuple(jobs), coming, tuple(found[:SHOWN]), tuple(settled), schedules)

    @staticmethod
    def _turned(call: Invocation, found: Sequence[Invocation]) -> bool:
        """Whether a call went otherwise than the one of its job before it."""
        before = next((one for one in found if one.job == call.job and one.id < call.id), None)
        return before is None or (before.cause is Cause.OK) is not (call.cause is Cause.OK)

    def _verify_on(self) -> None:
        while self._goes_on():
            started = time.monotonic()
            try:
                with self._connected() as connection, self._deadline(connection, _VERIFY_SECONDS):
                    report: Report | None = verify.run(connection, self._configuration, jobs=self._names)
                    failure = None
            except (AutosyncError, psycopg.Error) as error:
                report, failure = None, self._failure(error)
            took = time.monotonic() - started
            if self._goes_on():
                self._tell(Verified(self.now(), report, failure, took))
            self._ended.wait(_VERIFY_GAP)
            # what could not look is tried again soon
            every = max(VERIFY_EVERY.total_seconds(), _VERIFY_REST * took) if report else 2 * _VERIFY_GAP
            rest = every - (time.monotonic() - started)
            self._verify.wait(max(0.0, rest))
            self._verify.clear()

    def _goes_on(self) -> bool:
        return not self._ended.is_set()

    def _pause(self, seconds: float, connection: Connection | None = None) -> None:
        """Wait, and answer meanwhile what is asked."""
        until = time.monotonic() + seconds
        while self._goes_on() and not self._hurry and (left := until - time.monotonic()) > 0:
            self._woken.wait(left)
            self._woken.clear()
            self._answer(connection)
        self._hurry = False

    def _answer(self, connection: Connection | None) -> None:
        while not self._asked.empty():
            id, answer = self._asked.get()
            if connection is None:
                answer(self._lost.failure if self._lost else Failure("there is no connection"))
                continue
            try:
                with self._deadline(connection, LOOK_SECONDS), _reading(connection):
                    call = one_call.find(connection, id)
                    ref = one_call.project_ref(connection, self._configuration.target.project_ref)
                answer(Found(call, one_call.where(call, ref)))
            except AutosyncError as error:
                answer(self._failure(error))
            except psycopg.Error as error:
                answer(self._failure(error))
                raise

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with connect(self._url) as connection:
            # of the blocks that transaction() makes; nothing is set in the session, which may be a pooler's
            connection.read_only = True
            with self._lock:
                self._open.add(connection)
            try:
                yield connection
            finally:
                with self._lock:
                    self._open.discard(connection)

    @contextmanager
    def _deadline(self, connection: Connection, seconds: float) -> Iterator[None]:
        """End the session where the block takes longer. Raises UnreachableError then."""
        passed = threading.Event()

        def cut() -> None:
            with self._lock:
                if connection in self._open:
                    passed.set()
                    _cut(connection)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except psycopg.Error as error:
            if not passed.is_set():
                raise
            raise UnreachableError(
                f"no answer within {seconds:g} s", hint="see whether the server is overloaded, or the network down"
            ) from error
        finally:
            timer.cancel()

    def _failure(self, error: AutosyncError | psycopg.Error) -> Failure:
        if isinstance(error, AutosyncError):
            return Failure(key.redact(error.message), self._configuration.aim.at(error.hint))
        return Failure(key.redact(error.diag.message_primary or str(error).partition("\n")[0] or type(error).__name__))


@contextmanager
def _reading(connection: Connection) -> Iterator[None]:
    with connection.transaction():
        connection.execute(_LIMITS.encode())
        yield


def _cut(connection: Connection) -> None:
    """Break a session off: whoever waits for its answer, in another thread, gets an error at once."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
