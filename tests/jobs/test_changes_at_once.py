"""What pg_cron has of a job is decided from its row: whoever changes a job meanwhile waits, or is seen."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from autosync_db.connection import Connection
from autosync_db.jobs import registry
from autosync_db.local.cluster import Cluster
from autosync_db.setup import releasing
from tests.support import clusters

OWN_TEXT = "select 'the only copy of what somebody wrote'"
_LOCK = 20261124
_HELD_UP = "the session that is held up"
_WAITS = (
    f"if current_setting('application_name') = '{_HELD_UP}' then perform pg_advisory_xact_lock_shared({_LOCK}); end if;"
)
_READ = "    wanted_command := autosync.job_command(wanted.name);\n"


@pytest.fixture
def owner(migrated: Cluster) -> Iterator[Connection]:
    with clusters.connect(migrated) as connection:
        yield connection


def _value(owner: Connection, query: str) -> Any:
    [(found,)] = owner.execute(query.encode()).fetchall()
    return found


def _until_it_waits(running: threading.Thread, owner: Connection, waiting: int) -> None:
    clusters.wait_for(
        lambda: not running.is_alive() or _value(owner, "select count(*) from pg_locks where not granted") == waiting,
        "somebody who waits, or is done",
    )


@contextmanager
def _held_up(line: str, job: str, owner: Connection, cluster: Cluster) -> Iterator[list[str | None]]:
    """Let sync_job() wait before a line during the block, in a session of its own; its error's code is in the list."""
    errors: list[str | None] = []
    [(source,)] = owner.execute("select pg_get_functiondef('autosync.sync_job(text)'::regprocedure)").fetchall()
    assert source.count(line) == 1
    owner.execute(source.replace(line, _WAITS + "\n" + line).encode())

    def run() -> None:
        with clusters.connect(cluster) as other:
            other.execute("select set_config('application_name', %s, false)", [_HELD_UP])
            try:
                other.execute("select autosync.sync_job(%s)", [job])
            except psycopg.DatabaseError as error:
                errors.append(error.sqlstate)

    with clusters.connect(cluster) as holder:
        holder.execute("select pg_advisory_lock(%s)", [_LOCK])
        running = threading.Thread(target=run)
        running.start()
        _until_it_waits(running, owner, 1)
        yield errors
    running.join(30)


def _beside(change: Callable[[Connection], object], owner: Connection, cluster: Cluster) -> threading.Thread:
    """Begin a change in another session; return when it is done or waits for somebody."""

    def run() -> None:
        with clusters.connect(cluster) as connection:
            change(connection)

    before = _value(owner, "select count(*) from pg_locks where not granted")
    running = threading.Thread(target=run)
    running.start()
    _until_it_waits(running, owner, before + 1)
    return running


@pytest.mark.parametrize(
    ("change", "left"),
    [
        pytest.param(registry.pause, [("select 'ours'", False)], id="paused"),
        pytest.param(registry.remove, [], id="removed"),
        pytest.param(releasing.release, [(OWN_TEXT, True)], id="given back"),
    ],
)
def test_a_job_that_is_changed_while_setup_schedules_it_is_left_as_the_change_says(
    change: Callable[[Connection, str], object], left: list[tuple[str, bool]], owner: Connection, migrated: Cluster
) -> None:
    owner.execute("insert into autosync.job (name, sql, schedule) values ('purge', $$select 'ours'$$, '59 23 31 12 *')")
    owner.execute(
        "insert into autosync.adopted (revision, step, object, undo) values ('0005', 120, 'cron job purge', %s)",
        [f"select cron.schedule('purge', '59 23 31 12 *', $t${OWN_TEXT}$t$)"],
    )
    owner.execute("select autosync.sync_job('purge')")
    with _held_up(_READ, "purge", owner, migrated) as errors:
        changing = _beside(lambda connection: change(connection, "purge"), owner, migrated)
    changing.join(30)
    assert errors == []
    assert owner.execute("select command, active from cron.job where jobname = 'purge'").fetchall() == left
    assert _value(owner, "select count(*) from autosync.job where name = 'purge'") == (change is registry.pause)


def test_a_cron_job_that_somebody_makes_while_setup_makes_one_of_its_name_is_not_overwritten(
    owner: Connection, migrated: Cluster
) -> None:
    owner.execute("insert into autosync.job (name, sql, schedule) values ('purge', 'select 1', '59 23 31 12 *')")
    line = "        made := cron.schedule(wanted.name, wanted.schedule, wanted_command);\n"
    with _held_up(line, "purge", owner, migrated) as errors:
        owner.execute("select cron.schedule('purge', '59 23 31 12 *', %s)", [OWN_TEXT])
    assert errors == ["AS010"]
    assert _value(owner, "select command from cron.job where jobname = 'purge'") == OWN_TEXT


def test_two_changes_at_once_leave_housekeeping_as_often_as_the_busiest_job_needs_it(
    owner: Connection, migrated: Cluster
) -> None:
    """One job becomes the busiest, another stops being it; each change would see only itself."""
    for name, schedule in (("busy", "* * * * *"), ("calm", "*/5 * * * *")):
        owner.execute("insert into autosync.job (name, function, schedule) values (%s, 'f', %s)", [name, schedule])
        owner.execute("select autosync.sync_job(%s)", [name])
    owner.execute("update autosync.job set enabled = false where name = 'auto-sync-cron-job'")
    owner.execute("select autosync.sync_job('auto-sync-cron-job')")
    assert _value(owner, "select schedule from autosync.job where name = 'autosync-keep-house'") == "* * * * *"
    with clusters.connect(migrated) as looker, owner.transaction():
        registry.reschedule(owner, "calm", "* * * * *")
        changing = _beside(lambda connection: registry.reschedule(connection, "busy", "*/5 * * * *"), looker, migrated)
    changing.join(30)
    assert _value(owner, "select schedule from cron.job where jobname = 'autosync-keep-house'") == "* * * * *"
