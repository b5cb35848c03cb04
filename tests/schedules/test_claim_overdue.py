"""What has been due for more than a minute, which a claim takes in one step where it can: by the same rules."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

Connect = Callable[..., psycopg.Connection[Any]]

TABLE = "public.auto_sync_schedules"
CLAIM = "select id, organization_id from public.auto_sync_claim(%s)"


def fill(db: psycopg.Connection[Any], count: int, organizations: int, **columns: str) -> None:
    """Have so many schedules that have been due for three minutes, past the trigger that would let them be due now."""
    values = {"enabled": "true", "next_run_at": "now() - interval '3 minutes'", **columns}
    db.execute("set session_replication_role = replica")
    db.execute(
        f"insert into {TABLE} (integration_id, organization_id, {', '.join(values)})"
        f" select gen_random_uuid(), md5((n %% %s)::text)::uuid, {', '.join(values.values())}"
        " from generate_series(1, %s) as n",
        [organizations, count],
    )
    db.execute("reset session_replication_role")


@pytest.mark.parametrize(("batch", "count", "organizations"), [(1, 300, 3), (7, 1500, 40)])
def test_12_claimers_take_each_once(batch: int, count: int, organizations: int, schedule_db: Connect) -> None:
    fill(schedule_db(None), count, organizations)
    taken: list[list[Any]] = [[] for _ in range(12)]
    failures: list[BaseException] = []
    together = threading.Barrier(12)
    connections = [schedule_db("service_role") for _ in range(12)]

    def work(number: int) -> None:
        try:
            connections[number].execute("set statement_timeout = '60s'")
            together.wait()
            while rows := connections[number].execute(CLAIM, [batch]).fetchall():
                assert len(rows) <= batch
                taken[number] += [schedule for schedule, _ in rows]
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=[number]) for number in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    counted = Counter(schedule for rows in taken for schedule in rows)
    assert len(counted) == count
    assert max(counted.values()) == 1


@pytest.mark.parametrize("batch", [1, 5])
def test_each_organization_gets_its_turn(batch: int, schedule_db: Connect) -> None:
    fill(schedule_db(None), 2000, 10)
    db = schedule_db("service_role")
    served: Counter[Any] = Counter()
    # in the order of the index the tenth would have its turn after 1800 of the others
    while len(served) < 10:
        rows = db.execute(CLAIM, [batch]).fetchall()
        assert len({organization for _, organization in rows}) == len(rows) == batch
        served.update(organization for _, organization in rows)
        assert served.total() <= 1500


def test_what_another_holds_is_made_up_for(schedule_db: Connect) -> None:
    fill(schedule_db(None), 100, 100)
    holding = schedule_db("service_role", autocommit=False)
    held = dict(holding.execute(CLAIM, [40]).fetchall())
    db = schedule_db("service_role", autocommit=False)
    # from places that are drawn by lot: before what is held, in it, and behind it
    for _ in range(30):
        rows = dict(db.execute(CLAIM, [20]).fetchall())
        assert (len(rows), len({*held, *rows})) == (20, 60)
        db.rollback()
    holding.rollback()


def test_one_at_a_time_is_the_oldest_first_and_passes_shut_windows(schedule_db: Connect) -> None:
    db = schedule_db(None)
    fill(db, 2, 2, next_run_at="now() - interval '20 minutes'")
    fill(db, 2, 2)
    overdue = f"select now() - next_run_at > interval '10 minutes' from {TABLE} where id = %s"
    found = [db.execute(overdue, [row[0]]).fetchone() for _ in range(4) for row in db.execute(CLAIM, [1]).fetchall()]
    assert found == [(True,), (True,), (False,), (False,)]
    clock = "(now() at time zone 'UTC' + interval '{} hours')::time"
    fill(
        db, 300, 100, next_run_at="now() - interval '1 day'",
        time_window_enabled="true", time_window_start=clock.format(2), time_window_end=clock.format(4),
    )  # fmt: skip
    fill(db, 2, 2)
    assert [len(db.execute(CLAIM, [1]).fetchall()) for _ in range(3)] == [1, 1, 0]
    # an open window is no obstacle
    db.execute(f"truncate {TABLE}")
    fill(
        db, 1, 1, time_window_enabled="true", time_window_start=clock.format(-2), time_window_end=clock.format(2),
    )  # fmt: skip
    assert len(db.execute(CLAIM, [1]).fetchall()) == 1


def test_one_at_a_time_takes_those_that_wait_for_another_try_in_one_call_of_four(schedule_db: Connect) -> None:
    db = schedule_db(None)
    fill(db, 200, 10)
    fill(db, 20, 10, claims_since_run="2", claim_retry_at="now() - interval '1 minute'")
    retried = 0
    for _ in range(60):
        [(claims,)] = db.execute("select claims_since_run from public.auto_sync_claim(1)").fetchall()
        retried += claims > 1
    # 20 of them, each call with a chance of one in four, or in two while as many wait as a call takes
    assert 5 <= retried <= 20
    # one that somebody wants to run now comes before all others
    [(asked,)] = db.execute(f"select id from {TABLE} where claim_id is null limit 1").fetchall()
    assert db.execute("select state from autosync.make_due(%s)", [asked]).fetchone() == ("due",)
    assert [row[0] for row in db.execute(CLAIM, [1]).fetchall()] == [asked]


def test_one_at_a_time_with_a_snapshot_that_is_too_old_is_empty(schedule_db: Connect) -> None:
    fill(schedule_db(None), 1, 1)
    db = schedule_db("service_role", autocommit=False)
    db.execute("set transaction isolation level repeatable read")
    assert db.execute(f"select count(*) from {TABLE}").fetchone() == (1,)
    schedule_db().execute(f"update {TABLE} set only_online = false")
    assert db.execute(CLAIM, [1]).fetchall() == []
    db.rollback()
    assert len(db.execute(CLAIM, [1]).fetchall()) == 1
    db.rollback()
