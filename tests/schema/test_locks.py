"""A migration that finds a table locked: it waits, gives way, tries again, and says whose lock it is."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from autosync_db.errors import MigrationError
from autosync_db.local.cluster import Cluster
from autosync_db.schema import locks, migrate, revisions
from tests.schema import catalog
from tests.schema.interruption_page import LOCK_WAIT
from tests.support import clusters, command, cutting_proxy

SCHEDULES, SECRETS = "public.auto_sync_schedules", "public.pg_cron_secrets"
LOCK_TIMEOUT = timedelta(milliseconds=400)
# what comes on top on a busy machine: the server's own delays, and the work between the lock and giving way
SLACK = timedelta(milliseconds=150)
ATTEMPTS = 3
MEMBER = {"sub": "00000000-0000-4000-8000-00000000a001", "role": "authenticated"}
WAITED = "extract(epoch from clock_timestamp() - statement_timestamp())"
HAS_SECRETS = f"l.granted and l.mode = 'AccessExclusiveLock' and l.relation = '{SECRETS}'::regclass"
# what the API does meanwhile, by the server's own clocks; the last row is none of those that others hold
TRAFFIC = {
    "authenticated reads schedules": ("authenticated", f"select {WAITED} from {SCHEDULES} limit 1"),
    "service_role writes schedules": (
        "service_role",
        f"update {SCHEDULES} set device_tags = device_tags where id::text like '%13' returning {WAITED}",
    ),
    "service_role reads secrets": ("service_role", f"select {WAITED} from {SECRETS} limit 1"),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a lock for a moment, a few times."""
    monkeypatch.setattr(locks, "LOCK_ATTEMPTS", ATTEMPTS)
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", f"{LOCK_TIMEOUT / timedelta(milliseconds=1):.0f}ms")
    monkeypatch.setattr(locks, "HELD_LOCK_TIMEOUT", f"{LOCK_TIMEOUT / timedelta(milliseconds=1) / 3:.0f}ms")


@pytest.fixture
def deployed(deployed_template: Cluster) -> Iterator[Cluster]:
    """A running cluster of the test's own in the deployed state."""
    with clusters.cloned(deployed_template) as copy:
        with clusters.connect(copy, "supabase_admin") as admin:
            admin.execute("grant select on public.pg_cron_secrets to service_role")
            admin.execute("grant select, update on public.auto_sync_schedules to service_role")
        yield copy


@contextmanager
def transaction(cluster: Cluster, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold what a statement locks, as a long transaction of the application does."""
    with psycopg.connect(cluster.url().reveal(), application_name="nightly report") as holder:
        holder.execute(statement.encode())
        yield holder
        holder.rollback()


@dataclass
class Traffic:
    """How long each statement of the API waited, in seconds, and when by the number of attempts made so far."""

    cluster: Cluster
    waited: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: {name: [] for name in TRAFFIC})
    attempts: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def _keep_asking(self, name: str, role: str, statement: str) -> None:
        # of a prepared statement the server would count from after its locks
        with clusters.connection(self.cluster, "authenticator", prepare_threshold=None) as connection:
            connection.execute(f"set role {role}".encode())
            connection.execute("select set_config('request.jwt.claims', %s, false)", [json.dumps(MEMBER)])
            while not self._is_over.is_set():
                row = connection.execute(statement.encode()).fetchone()
                assert row is not None
                self.waited[name].append((self.attempts, float(row[0])))
                time.sleep(0.01)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Let statements come one after the other, from three sessions, in the time of the block."""
        threads = [threading.Thread(target=self._keep_asking, args=(name, *what)) for name, what in TRAFFIC.items()]
        for thread in threads:
            thread.start()
        try:
            clusters.wait_for(lambda: all(self.waited.values()), "the first statements")
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join(20)

    def worst(self) -> dict[str, float]:
        """Return the longest wait of each kind of statement."""
        return {name: max(seconds for _, seconds in waits) for name, waits in self.waited.items()}


def upgrade(cluster: Cluster, messages: Callable[[str], None]) -> MigrationError:
    """Migrate where that must fail because of a lock, and return the error."""
    with pytest.raises(MigrationError, match="nothing was changed") as caught:
        migrate.upgrade(cluster.url(), on_retry=messages)
    return caught.value


@pytest.mark.parametrize(
    ("name", "statement", "table"),
    [
        pytest.param("a reader of the schedules", f"select * from {SCHEDULES}", SCHEDULES, id="reader"),
        pytest.param(
            "a writer of the schedules",
            f"update {SCHEDULES} set enabled = enabled where id::text like '%01'",
            SCHEDULES,
            id="writer",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "a reader of the secrets", f"select * from {SECRETS}", SECRETS, id="secrets", marks=pytest.mark.long
        ),
    ],
)
def test_a_long_transaction_is_named_and_keeps_the_api_waiting_no_longer_than_the_timeout(
    name: str, statement: str, table: str, deployed: Cluster, record_property: Callable[[str, object], None]
) -> None:
    before = catalog.snapshot(deployed)
    messages: list[str] = []
    traffic = Traffic(deployed)

    def retry(message: str) -> None:
        messages.append(message)
        traffic.attempts += 1

    with transaction(deployed, statement) as holder, traffic.flowing():
        error = upgrade(deployed, retry)
        pid = holder.info.backend_pid
    assert catalog.snapshot(deployed) == before

    worst = traffic.worst()
    longest = max(worst.values())
    print(f"\n{name}, lock_timeout {LOCK_TIMEOUT.total_seconds():.3f} s: at most {longest:.3f} s of {worst}")
    record_property(LOCK_WAIT, {"name": name, "timeout": LOCK_TIMEOUT.total_seconds(), "worst": worst})
    assert longest <= (LOCK_TIMEOUT + SLACK).total_seconds()
    # somebody did wait, and everybody got through between the attempts
    assert longest > LOCK_TIMEOUT.total_seconds() / 2
    for waits in traffic.waited.values():
        assert {attempt for attempt, _ in waits} == set(range(ATTEMPTS))

    held = (
        rf"{table} is locked by session {pid} \(user postgres, application nightly report, in a transaction for .* s\)"
    )
    assert [bool(re.fullmatch(rf"attempt {n} of {ATTEMPTS}: {held}", text)) for n, text in enumerate(messages, 1)] == [
        True
    ] * (ATTEMPTS - 1), messages
    assert re.fullmatch(rf"{held}; nothing was changed in {ATTEMPTS} attempts", error.message)
    assert f"select pg_terminate_backend({pid})" in error.hint


@pytest.mark.long
def test_two_transactions_one_after_the_other_do_not_add_up(
    deployed: Cluster, record_property: Callable[[str, object], None]
) -> None:
    """Whoever has one table while it waits for the next makes the API wait for both."""
    traffic = Traffic(deployed)
    update = f"update {SCHEDULES} set enabled = enabled where id::text like '%01'"
    with (
        transaction(deployed, f"select * from {SCHEDULES}"),
        transaction(deployed, update) as writer,
        traffic.flowing(),
    ):
        timer = threading.Timer(LOCK_TIMEOUT.total_seconds() * 0.8, writer.rollback)
        timer.start()
        upgrade(deployed, lambda _: None)
        timer.join()
    worst = traffic.worst()
    print(f"\ntwo transactions: {worst}")
    record_property(
        LOCK_WAIT, {"name": "two, one after the other", "timeout": LOCK_TIMEOUT.total_seconds(), "worst": worst}
    )
    assert max(worst.values()) <= (LOCK_TIMEOUT + SLACK).total_seconds()


def test_a_lock_that_is_given_back_only_delays(deployed: Cluster) -> None:
    messages: list[str] = []
    with transaction(deployed, f"select * from {SECRETS}") as holder:

        def release(message: str) -> None:
            messages.append(message)
            holder.rollback()

        done = migrate.upgrade(deployed.url(), on_retry=release)
    assert len(messages) == 1
    assert done.after == revisions.head()


def test_who_keeps_migrations_waiting_is_named_while_it_does(deployed: Cluster) -> None:
    messages: list[str] = []
    with clusters.connect(deployed, "authenticator") as holder:
        holder.execute("set application_name = 'idler'")
        holder.execute("select pg_advisory_lock(%s)", [locks.ADVISORY_LOCK])

        def release(message: str) -> None:
            messages.append(message)
            holder.execute("select pg_advisory_unlock(%s)", [locks.ADVISORY_LOCK])

        done = migrate.upgrade(deployed.url(), on_retry=release)
        held = f"waiting: the lock of migrations is held by session {holder.info.backend_pid} (user authenticator,"
    assert [message.startswith(f"{held} application idler") for message in messages] == [True], messages
    assert done.after == revisions.head()


def test_nothing_to_do_waits_for_no_table(migrated: Cluster) -> None:
    with transaction(migrated, f"lock table {SCHEDULES}, {SECRETS} in row exclusive mode"):
        assert migrate.upgrade(migrated.url(), on_retry=pytest.fail).revisions == []


def test_a_deadlock_is_a_lock_to_wait_for(deployed: Cluster) -> None:
    """The application has one table and wants the other, which the migration has."""
    messages: list[str] = []
    with clusters.connect(deployed, "supabase_admin") as admin:
        # of two that wait for each other the first to look is ended
        admin.execute("alter role postgres set deadlock_timeout = '10ms'")
    with (
        cutting_proxy.relay(deployed) as proxy,
        clusters.connect(deployed) as watcher,
        clusters.connect(deployed, "supabase_admin") as application,
    ):
        reading = threading.Thread(target=application.execute, args=(f"select * from {SECRETS}".encode(),))

        def look() -> None:
            if watcher.execute(f"select from pg_locks as l where {HAS_SECRETS}".encode()).fetchone() is None:
                assert proxy.cut_after
                proxy.cut_after += 1
                return
            application.execute("begin")
            application.execute(f"lock table {SCHEDULES} in row exclusive mode".encode())
            reading.start()
            waiting = f"select from pg_locks as l where not l.granted and l.pid = {application.info.backend_pid}"
            clusters.wait_for(lambda: watcher.execute(waiting.encode()).fetchone() is not None, "the application")

        def release(message: str) -> None:
            messages.append(message)
            reading.join(20)
            application.execute("rollback")

        proxy.arm(1, look, cuts=False)
        done = migrate.upgrade(proxy.url(), on_retry=release)
    assert done.after == revisions.head()
    assert len(messages) == 1


def test_the_command_line_tells_it_at_once_and_in_the_end(deployed: Cluster) -> None:
    with transaction(deployed, f"select * from {SCHEDULES}"):
        result = command.run("migrate", database=deployed.url())
    message = command.refused(result, 5)
    assert f"{SCHEDULES} is locked by session" in message
    lines = [line for line in result.err.splitlines() if line.startswith("attempt ")]
    assert [line[: len("attempt 1 of 3")] for line in lines] == ["attempt 1 of 3", "attempt 2 of 3"]
