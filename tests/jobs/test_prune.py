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
            insert into autosync.tick (job_id, ticked_at, caller, due, decision)
            select coalesce((select j.id from autosync.job as j where j.name = %s), 4242), now() - %s::interval,
                'test', 0, 'posted'
            from generate_series(1, %s)
            returning id, job_id, ticked_at
        )
        insert into autosync.invocation (
            tick_id, job_id, queued_at, request_id, timeout_milliseconds, settled_at, outcome
        )
        select id, job_id, ticked_at, 1, 1000, now(), 'ok' from made
        """,
        [job, age, count],
    )


def prune(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("select autosync.keep_house()").fetchone()
    assert row is not None
    assert "errors" not in row[0]
    return int(row[0]["deleted"]) + int(row[0]["runs_deleted"])


def runs(connection: psycopg.Connection[Any], job: str) -> list[int]:
    rows = connection.execute(
        "select runid from cron.job_run_details where jobid = %s order by runid", [job_id(connection, job)]
    )
    return [int(runid) for (runid,) in rows]


def test_old_ticks_go_with_their_invocations_and_young_ones_stay(admin: psycopg.Connection[Any]) -> None:
    add_ticks(admin, "auto-sync-cron-job", "31 days", 3)
    add_ticks(admin, "auto-sync-cron-job", "29 days", 2)
    assert prune(admin) == 6
    counted = admin.execute("select (select count(*) from autosync.tick), (select count(*) from autosync.invocation)")
    assert counted.fetchone() == (2, 2)


def test_the_newest_tick_and_the_newest_outcome_of_a_job_stay(admin: psycopg.Connection[Any]) -> None:
    """Of a job that seldom ticks, or has nothing due, they are all that says how it does."""
    add_ticks(admin, "auto-sync-cron-job", "90 days", 3)
    admin.execute(
        "update autosync.invocation set outcome = 'lost' where id = (select max(id) from autosync.invocation)"
    )
    admin.execute(
        "insert into autosync.tick (job_id, ticked_at, caller, due, decision)"
        " select j.id, now() - n * interval '40 days', 'test', 0, 'idle'"
        " from autosync.job as j, generate_series(2, 1, -1) as n"
        " where j.name = 'auto-sync-cron-job'"
    )
    prune(admin)
    assert admin.execute("select t.decision from autosync.tick as t order by t.id").fetchall() == [
        ("posted",),
        ("idle",),
    ]
    assert admin.execute("select i.outcome from autosync.invocation as i").fetchall() == [("ok",)]
    assert prune(admin) == 0


def test_the_ledger_of_a_job_that_is_gone_goes(admin: psycopg.Connection[Any]) -> None:
    add_ticks(admin, "gone", "1 minute", 2)
    assert prune(admin) == 4
    assert admin.execute("select count(*) from autosync.tick").fetchone() == (0,)


def test_one_tick_deletes_a_bounded_number(admin: psycopg.Connection[Any]) -> None:
    # by stale statistics and these settings a subquery would run once per row, and find others each time
    add_ticks(admin, "auto-sync-cron-job", "31 days", 1)
    admin.execute("analyze autosync.tick, autosync.invocation")
    for plan in ("hashjoin", "mergejoin", "material", "hashagg", "sort"):
        admin.execute(f"set local enable_{plan} = off")
    add_ticks(admin, "auto-sync-cron-job", "31 days", 2299)
    add_ticks(admin, "auto-sync-cron-job", "1 minute", 1)
    add_runs(admin, "auto-sync-cron-job", "8 days", 1001, 3300)
    assert [prune(admin) for _ in range(4)] == [3000, 3000, 900, 0]


def test_the_retention_is_the_jobs(admin: psycopg.Connection[Any]) -> None:
    add_ticks(admin, "auto-sync-cron-job", "3 days", 1)
    add_ticks(admin, "auto-sync-cron-job", "1 minute", 1)
    add_runs(admin, "auto-sync-cron-job", "3 days", 1001, 1001)
    assert prune(admin) == 0
    admin.execute("update autosync.job set keep_invocations = '2 days', keep_run_details = '2 days'")
    assert prune(admin) == 3


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
    admin.execute("update autosync.housekeeping set pruned_runid = 900000")
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


def test_a_history_that_cannot_be_pruned_stops_nothing_else(admin: psycopg.Connection[Any]) -> None:
    add_ticks(admin, "auto-sync-cron-job", "31 days", 3)
    add_ticks(admin, "auto-sync-cron-job", "1 minute", 1)
    admin.execute("reset role")
    admin.execute("revoke all on cron.job_run_details from postgres, public")
    admin.execute("revoke pg_read_all_data from postgres")
    admin.execute("set local role postgres")
    row = admin.execute("select autosync.keep_house()").fetchone()
    assert row is not None
    assert (row[0]["deleted"], list(row[0]["errors"])) == (6, ["gone_jobs", "runs_deleted"])
