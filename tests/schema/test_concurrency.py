"""Migrations that run at once, are killed, or find a lock: one works, all or nothing, again to finish."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from autosync_db import migrate, revision
from autosync_db.errors import MigrationError
from autosync_db.local.cluster import Cluster
from tests.schema import catalog
from tests.support import clusters

ROOT = Path(__file__).parents[2]
# as the guide's own migration made it: revision 0002 has to alter it
GUIDES_TABLE = "create table public.pg_cron_secrets (name text primary key, secret text not null)"
WAITING = """
select a.pid
from pg_stat_activity as a
where a.application_name = 'autosync-db' and a.wait_event_type = 'Lock'
"""


def start(cluster: Cluster) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "autosync_db", "migrate", "--format", "json"],
        env={**environment, "AUTOSYNC_DATABASE_URL": cluster.url().reveal()},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@contextmanager
def locked(cluster: Cluster, table: str) -> Iterator[psycopg.Connection[Any]]:
    """Hold a lock on a table, as a long transaction of the application does."""
    with psycopg.connect(cluster.url().reveal()) as holder:
        holder.execute(f"lock table {table} in access share mode".encode())
        yield holder
        holder.rollback()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a lock 100 ms, three times."""
    monkeypatch.setattr(migrate, "LOCK_ATTEMPTS", 3)
    monkeypatch.setattr(migrate, "_PREPARE", migrate._PREPARE.replace(f"'{migrate.LOCK_TIMEOUT}'", "'100ms'"))


def test_of_eight_at_once_one_works(blank: Cluster, migrated_template: Cluster) -> None:
    with clusters.connect(blank) as barrier, clusters.connect(blank, "supabase_admin") as watcher:
        # all of them have looked at the empty database before the first may change it
        barrier.execute("select pg_advisory_lock(%s)", [migrate.ADVISORY_LOCK])
        running = [start(blank) for _ in range(8)]
        clusters.wait_for(lambda: len(watcher.execute(WAITING).fetchall()) == 8, "all to wait", patience=60)
    answers = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0] * 8, [errors for _, errors in answers]
    done = [json.loads(output) for output, _ in answers]
    assert sorted(len(outcome["revisions"]) for outcome in done)[:7] == [0] * 7
    (worker,) = [outcome for outcome in done if outcome["revisions"]]
    assert worker["after"] == revision.head()
    assert [outcome["objects"] for outcome in done if outcome is not worker] == [[]] * 7
    with clusters.cloned(migrated_template) as alone:
        assert catalog.snapshot(blank) == catalog.snapshot(alone)


def test_a_killed_migration_leaves_nothing_and_the_next_one_finishes(blank: Cluster) -> None:
    with clusters.connect(blank) as connection, clusters.connect(blank, "supabase_admin") as watcher:
        connection.execute(GUIDES_TABLE)
        before = catalog.snapshot(blank)
        with locked(blank, "public.pg_cron_secrets"):
            process = start(blank)
            waiting = clusters.wait_for(
                lambda: watcher.execute(WAITING).fetchall(), "the migration to wait for the lock"
            )
            process.kill()
            process.communicate(timeout=20)
        clusters.wait_for(
            lambda: watcher.execute(
                "select 1 where not exists (select from pg_stat_activity where pid = %s)", waiting[0]
            ).fetchone(),
            "its backend to end",
        )
        assert catalog.snapshot(blank) == before
    again = start(blank)
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert migrate.plan(blank.url()).is_current


@pytest.mark.usefixtures("impatient")
def test_a_lock_that_is_given_back_only_delays(blank: Cluster) -> None:
    told: list[str] = []
    with clusters.connect(blank) as connection:
        connection.execute(GUIDES_TABLE)
    with locked(blank, "public.pg_cron_secrets") as holder:

        def release(message: str) -> None:
            told.append(message)
            holder.rollback()

        done = migrate.upgrade(blank.url(), on_retry=release)
    assert told == ["a lock is held by another session; attempt 1 of 3"]
    assert done.after == revision.head()


@pytest.mark.usefixtures("impatient")
def test_a_lock_that_is_kept_ends_in_an_error_and_changes_nothing(blank: Cluster) -> None:
    told: list[str] = []
    with clusters.connect(blank) as connection:
        connection.execute(GUIDES_TABLE)
    before = catalog.snapshot(blank)
    with locked(blank, "public.pg_cron_secrets"):
        with pytest.raises(MigrationError, match="nothing was changed") as caught:
            migrate.upgrade(blank.url(), on_retry=told.append)
        assert catalog.snapshot(blank) == before
    assert "pg_stat_activity" in caught.value.hint
    assert len(told) == 2


@pytest.mark.usefixtures("impatient")
def test_waiting_for_a_lock_blocks_nobody_for_longer_than_the_timeout(blank: Cluster) -> None:
    """A waiting ALTER queues readers behind it: they must get through between the attempts."""
    with clusters.connect(blank) as connection:
        connection.execute(GUIDES_TABLE)
        read: list[int] = []

        def reader(_: str) -> None:
            connection.execute("set statement_timeout = '1s'")
            read.append(len(connection.execute("select * from public.pg_cron_secrets").fetchall()))

        with locked(blank, "public.pg_cron_secrets"), pytest.raises(MigrationError):
            migrate.upgrade(blank.url(), on_retry=reader)
    assert read == [0, 0]
