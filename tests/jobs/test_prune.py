"""Retention: the ledger and pg_cron's history of our job stay bounded, and nobody else's rows are touched."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from autosync_db.local.cluster import Cluster

RUN = """
insert into cron.job_run_details (
    jobid, runid, job_pid, database, username, command, status, start_time, end_time
)
select %s, n, 1, 'postgres', 'postgres', 'select 1', %s, now() - %s::interval, now() - %s::interval
from generate_series(%s::bigint, %s::bigint) as n
"""


@pytest.fixture
def admin(shared: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's transaction, because only pg_cron itself writes its history; rolled back."""
    with psycopg.connect(shared.url("supabase_admin").reveal()) as connection:
        connection.execute("set local role postgres")
        connection.execute("select cron.schedule('other', '0 3 * * *', 'select 1')")
        yield connection
        connection.rollback()


def job_id(connection: psycopg.Connection[Any], name: str) -> int:
    row = connection.execute("select jobid from cron.job where jobname = %s", [name]).fetchone()
    assert row is not None
    return int(row[0])


def add_runs(
    connection: psycopg.Connection[Any],
    job: str,
    age: str | None,
    first: int,
    last: int,
    status: str = "succeeded",
) -> None:
    connection.execute("reset role")
    connection.execute(RUN, [job_id(connection, job), status, age, age, first, last])
    connection.execute("set local role postgres")


def add_ticks(connection: psycopg.Connection[Any], job: str, age: str, count: int) -> None:
    connection.execute(
        """
        with made as (
            insert into autosync.tick (job_name, ticked_at, caller, due, decision, server_epoch)
            select %s, now() - %s::interval, 'test', 0, 'posted', now() from generate_series(1, %s)
            returning id, job_name
        )
        insert into autosync.invocation (
            tick_id, job_name, request_id, timeout_milliseconds, server_epoch, settled_at, outcome
        )
        select id, job_name, 1, 1000, now(), now(), 'ok' from made
        """,
        [job, age, count],
    )


def prune(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("select autosync.prune('auto-sync-cron-job')").fetchone()
    assert row is not None
    return int(row[0])


def runs(connection: psycopg.Connection[Any], job: str) -> list[int]:
    rows = connection.execute(
        "select runid from cron.job_run_details where jobid = %s order by runid", [job_id(connection, job)]
    )
    return [int(runid) for (runid,) in rows]


def test_old_ticks_go_with_their_invocations_and_young_ones_stay(admin: psycopg.Connection[Any]) -> None:
    add_ticks(admin, "auto-sync-cron-job", "31 days", 3)
    add_ticks(admin, "auto-sync-cron-job", "29 days", 2)
    assert prune(admin) == 3
    counted = admin.execute("select (select count(*) from autosync.tick), (select count(*) from autosync.invocation)")
    assert counted.fetchone() == (2, 2)


def test_ticks_of_another_job_stay(admin: psycopg.Connection[Any]) -> None:
    add_ticks(admin, "other", "90 days", 2)
    assert prune(admin) == 0
    assert admin.execute("select count(*) from autosync.tick").fetchone() == (2,)


def test_one_tick_deletes_a_bounded_number(admin: psycopg.Connection[Any]) -> None:
    add_ticks(admin, "auto-sync-cron-job", "31 days", 2300)
    add_runs(admin, "auto-sync-cron-job", "8 days", 1001, 3300)
    assert [prune(admin) for _ in range(4)] == [2000, 2000, 600, 0]


def test_the_retention_is_the_jobs(admin: psycopg.Connection[Any]) -> None:
    add_ticks(admin, "auto-sync-cron-job", "3 days", 1)
    add_runs(admin, "auto-sync-cron-job", "3 days", 1001, 1001)
    assert prune(admin) == 0
    admin.execute("update autosync.job set keep_invocations = '2 days', keep_run_details = '2 days'")
    assert prune(admin) == 2


def test_only_our_jobs_history_goes(admin: psycopg.Connection[Any]) -> None:
    add_runs(admin, "other", "90 days", 1001, 1003)
    add_runs(admin, "auto-sync-cron-job", "8 days", 1004, 1006)
    add_runs(admin, "other", "8 days", 1007, 1008)
    add_runs(admin, "auto-sync-cron-job", "6 days", 1009, 1010)
    assert prune(admin) == 3
    assert runs(admin, "auto-sync-cron-job") == [1009, 1010]
    assert runs(admin, "other") == [1001, 1002, 1003, 1007, 1008]


def test_a_long_history_of_others_is_walked_past(admin: psycopg.Connection[Any]) -> None:
    add_runs(admin, "other", "90 days", 1001, 3500)
    add_runs(admin, "auto-sync-cron-job", "8 days", 3501, 3510)
    assert [prune(admin) for _ in range(4)] == [0, 0, 10, 0]


def test_numbering_that_starts_again_is_noticed(admin: psycopg.Connection[Any]) -> None:
    admin.execute("update autosync.job set pruned_runid = 900000")
    add_runs(admin, "auto-sync-cron-job", "8 days", 1001, 1002)
    assert prune(admin) == 2


def test_runs_without_times_do_not_stop_it(admin: psycopg.Connection[Any]) -> None:
    """pg_cron before 1.6.3 writes no time for a run that could not connect; a day of those fills one look."""
    add_runs(admin, "other", None, 1001, 2500, status="failed")
    add_runs(admin, "auto-sync-cron-job", "8 days", 2501, 2502)
    assert sum(prune(admin) for _ in range(4)) == 2


def test_a_run_that_goes_on_stays(admin: psycopg.Connection[Any]) -> None:
    add_runs(admin, "auto-sync-cron-job", None, 1001, 1001, status="running")
    assert prune(admin) == 0
    assert runs(admin, "auto-sync-cron-job") == [1001]


def test_every_tick_prunes(admin: psycopg.Connection[Any]) -> None:
    admin.execute("update autosync.job set paused_at = now()")
    add_ticks(admin, "auto-sync-cron-job", "31 days", 3)
    admin.execute("select autosync.dispatch()")
    assert admin.execute("select count(*) from autosync.tick").fetchone() == (1,)


def test_a_history_that_cannot_be_pruned_does_not_stop_the_call(admin: psycopg.Connection[Any]) -> None:
    admin.execute("update autosync.job set paused_at = now()")
    admin.execute("reset role")
    admin.execute("revoke all on cron.job_run_details from postgres")
    admin.execute("revoke pg_read_all_data from postgres")
    admin.execute("set local role postgres")
    assert admin.execute("select autosync.dispatch() is not null").fetchone() == (True,)
