"""Claims: each schedule once, back after the lease, refused once lost."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

Connect = Callable[..., psycopg.Connection[Any]]

TABLE = "public.auto_sync_schedules"


def fill(connection: psycopg.Connection[Any], count: int) -> None:
    """Insert that many schedules, all due."""
    connection.execute(
        f"insert into {TABLE} (integration_id, organization_id, enabled) "
        "select gen_random_uuid(), gen_random_uuid(), true from generate_series(1, %s)",
        [count],
    )


def claim(
    connection: psycopg.Connection[Any], batch_size: int = 50, lease: str = "15 minutes"
) -> list[tuple[Any, Any]]:
    return connection.execute(
        "select id, claim_id from public.auto_sync_claim(batch_size => %s, lease => %s)", [batch_size, lease]
    ).fetchall()


def complete(connection: psycopg.Connection[Any], schedule_id: Any, status: str, claim_id: Any = None) -> Any:
    return connection.execute(
        "select (done).last_run_status, (done).last_run_summary, (done).claim_id, "
        "(done).consecutive_failures, "
        "(done).next_run_at - (done).last_run_at "
        "from public.auto_sync_complete("
        "schedule_id => %s, status => %s, summary => %s, claim_id => %s) as done",
        [schedule_id, status, Jsonb({"synced": 3}), claim_id],
    ).fetchone()


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *[node for child in plan.get("Plans", []) for node in nodes(child)]]


@pytest.mark.parametrize("count", [20_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_32_claimers_take_each_of_many_schedules_once(count: int, schedule_db: Connect) -> None:
    fill(schedule_db(), count)
    taken: list[list[Any]] = [[] for _ in range(32)]
    failures: list[BaseException] = []
    together = threading.Barrier(32)
    connections = [schedule_db("service_role") for _ in range(32)]
    for connection in connections:
        # with so many on few processors the API's eight seconds can be too short
        connection.execute("set statement_timeout = '60s'")

    def work(number: int) -> None:
        try:
            together.wait()
            while rows := claim(connections[number], 200):
                taken[number] += [schedule for schedule, _ in rows]
        except BaseException as error:  # a deadlock, above all
            failures.append(error)

    workers = [threading.Thread(target=work, args=[number]) for number in range(32)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    counted = Counter(schedule for rows in taken for schedule in rows)
    assert len(counted) == count
    assert max(counted.values()) == 1
    assert sum(1 for rows in taken if rows) > 16


@pytest.mark.parametrize("analysed", [False, True])
def test_claiming_reads_its_index_and_no_more(schedule_db: Connect, analysed: bool) -> None:
    db = schedule_db(None)
    fill(db, 100_000)
    if analysed:
        db.execute(f"vacuum analyze {TABLE}")
    db.execute("load 'auto_explain'")
    db.execute("set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on")
    db.execute("set auto_explain.log_format = json; set auto_explain.log_analyze = on; set client_min_messages = log")
    plans: list[dict[str, Any]] = []

    def collect(notice: psycopg.errors.Diagnostic) -> None:
        text = notice.message_primary or ""
        if "plan:" in text:
            plans.append(json.loads(text.split("plan:\n", 1)[1]))

    db.add_notice_handler(collect)
    # the sixth and later calls are where a cached plan could turn generic
    for _ in range(8):
        assert len(claim(db)) == 50
    mine = [plan["Plan"] for plan in plans if "for update of due" in plan["Query Text"]]
    assert len(mine) == 8
    for plan in mine:
        types = Counter(node["Node Type"] for node in nodes(plan))
        assert not {"Seq Scan", "Bitmap Heap Scan", "Hash Join"} & set(types), types
        indexes = [node["Index Name"] for node in nodes(plan) if node["Node Type"] == "Index Scan"]
        assert sorted(indexes) == ["auto_sync_schedules_claimable_idx", "auto_sync_schedules_pkey"]


def test_a_dead_claimers_schedules_come_back_when_the_lease_ends(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    fill(db, 3)
    first = claim(db, lease="300 milliseconds")
    assert len(first) == 3
    assert claim(db) == []
    db.execute(
        f"select pg_sleep(greatest(0, extract(epoch from max(claim_expires_at) - clock_timestamp()))) from {TABLE}"
    )
    second = claim(db)
    assert {schedule for schedule, _ in second} == {schedule for schedule, _ in first}
    assert not {token for _, token in second} & {token for _, token in first}


def test_a_killed_claimers_open_transaction_claims_nothing(schedule_db: Connect) -> None:
    fill(schedule_db(), 5)
    dying = schedule_db("service_role", autocommit=False)
    assert len(claim(dying)) == 5
    other = schedule_db("service_role")
    assert claim(other) == []
    schedule_db(None).execute("select pg_terminate_backend(%s, 5000)", [dying.info.backend_pid])
    assert len(claim(other)) == 5


def test_a_completion_whose_claim_was_taken_over_is_refused(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    fill(db, 1)
    [(schedule, lapsed)] = claim(db, lease="0 seconds")
    [(_, current)] = claim(db)
    with pytest.raises(psycopg.Error, match="lapsed") as refused:
        complete(db, schedule, "success", lapsed)
    assert refused.value.sqlstate == "PT409"
    complete(db, schedule, "success", current)
    # finished by the other: still refused
    with pytest.raises(psycopg.Error, match="lapsed"):
        complete(db, schedule, "success", lapsed)


def test_a_lapsed_claim_that_nobody_took_still_counts(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    fill(db, 1)
    [(schedule, lapsed)] = claim(db, lease="0 seconds")
    assert complete(db, schedule, "success", lapsed)[0] == "success"


def test_complete_records_the_run_and_backs_off(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    fill(db, 1)
    [(schedule, token)] = claim(db)
    status, summary, left, failures, wait = complete(db, schedule, "failed", token)
    assert (status, summary, left, failures, wait.total_seconds()) == ("failed", {"synced": 3}, None, 1, 900)
    assert complete(db, schedule, "failed")[3:] == (2, wait * 2)
    assert complete(db, schedule, "failed")[3:] == (3, wait * 4)
    assert complete(db, schedule, "success")[3:] == (0, wait)
    assert claim(db) == []


def test_outside_its_window_a_due_schedule_is_left_alone(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    db.execute(
        f"""
        insert into {TABLE} (integration_id, organization_id, enabled, time_window_enabled, time_window_start,
            time_window_end, last_run_at)
        select gen_random_uuid(), gen_random_uuid(), true, true, (clock + interval '2 hours')::time,
            (clock + interval '4 hours')::time, now() - interval '3 days'
        from (select now() at time zone 'UTC' as clock) as clocks
        """
    )
    before = db.execute(f"select * from {TABLE} where next_run_at <= now()").fetchall()
    assert len(before) == 1
    assert claim(db) == []
    assert db.execute(f"select * from {TABLE}").fetchall() == before


def test_a_zone_the_server_lost_stops_no_other_claim(schedule_db: Connect) -> None:
    db = schedule_db(None)
    fill(db, 2)
    db.execute("set session_replication_role = replica")
    db.execute(
        f"update {TABLE} set timezone = 'Gone/Away', time_window_enabled = true, "
        "time_window_start = '00:00', "
        f"time_window_end = '23:59' where id = (select min(id::text)::uuid from {TABLE})"
    )
    db.execute("reset session_replication_role")
    assert len(claim(db)) == 1


@pytest.mark.parametrize(
    "call",
    [
        "public.auto_sync_claim(batch_size => 0)",
        "public.auto_sync_claim(lease => '-1 second')",
        "public.auto_sync_claim(lease => null)",
        "public.auto_sync_complete(gen_random_uuid(), 'success')",
        "public.auto_sync_complete(gen_random_uuid(), 'done')",
    ],
)
def test_senseless_calls_are_refused(schedule_db: Connect, call: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        schedule_db("service_role").execute(f"select * from {call}")
    assert any(word in str(refused.value) for word in ("must be", "does not exist"))


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("call", ["auto_sync_claim()", "auto_sync_complete(gen_random_uuid(), 'success')"])
def test_api_users_may_not_call_them(schedule_db: Connect, role: str, call: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        schedule_db(role).execute(f"select * from public.{call}")


def test_no_role_of_the_api_can_use_the_private_schema(schedule_db: Connect) -> None:
    for role in ("anon", "authenticated", "service_role"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            schedule_db(role).execute("select autosync.is_time_zone('UTC')")
