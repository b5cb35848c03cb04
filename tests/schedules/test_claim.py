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


def fill(
    connection: psycopg.Connection[Any], count: int, organization: str = "gen_random_uuid()", enabled: str = "true"
) -> None:
    """Insert that many schedules: all due, unless they are disabled; n is the number of each."""
    connection.execute(
        f"insert into {TABLE} (integration_id, organization_id, enabled) "
        f"select gen_random_uuid(), {organization}, {enabled} from generate_series(1, %s) as n",
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
        "select last_run_status, consecutive_failures, next_run_at - last_run_at, last_run_at "
        "from public.auto_sync_complete(schedule_id => %s, status => %s, summary => %s, claim_id => %s)",
        [schedule_id, status, Jsonb({"synced": 3}), claim_id],
    ).fetchone()


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *[node for child in plan.get("Plans", []) for node in nodes(child)]]


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.long)])
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
            while rows := claim(connections[number], min(200, count // 100)):
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


@pytest.mark.parametrize(
    "statistics",
    [
        "none",
        "none of what is due for minutes",
        "of now",
        *(
            pytest.param(one, marks=pytest.mark.long)
            for one in ("of one row", "of disabled rows", "of unequal organizations")
        ),
    ],
)
def test_claiming_reads_its_index_and_no_more(schedule_db: Connect, statistics: str) -> None:
    db = schedule_db(None)
    # autovacuum would choose the statistics itself
    db.execute(f"alter table {TABLE} set (autovacuum_enabled = off)")
    if statistics == "of one row":
        fill(db, 1)
        db.execute(f"vacuum analyze {TABLE}")
    # Rows are inserted as they shall be: one that was due before stays in the index while any other session,
    # autovacuum's too, holds back the VACUUM, and reading past it is no fault of the claim's.
    if statistics == "of unequal organizations":
        # all but one have one row each, less than their share of a batch
        fill(db, 20_000, organization="lpad(to_hex(least(n, 40)), 32, '0')::uuid")
    else:
        fill(db, 20_000, enabled="false" if statistics == "of disabled rows" else "true")
    if statistics == "none of what is due for minutes":
        db.execute(f"truncate {TABLE}")
        # past the trigger, which lets new rows be due now: those of minutes that are over are claimed in another way
        db.execute("set session_replication_role = replica")
        db.execute(
            f"insert into {TABLE} (integration_id, organization_id, enabled, next_run_at)"
            " select gen_random_uuid(), gen_random_uuid(), true, now() - interval '3 minutes'"
            " from generate_series(1, 20000)"
        )
        db.execute("reset session_replication_role")
    if not statistics.startswith("none") and statistics != "of one row":
        db.execute(f"vacuum analyze {TABLE}")
    if statistics == "of disabled rows":
        db.execute(f"update {TABLE} set enabled = true, next_run_at = now() - interval '1 minute'")
    db.execute("load 'auto_explain'")
    db.execute("set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on")
    db.execute("set auto_explain.log_format = json; set auto_explain.log_analyze = on")
    db.execute("set auto_explain.log_buffers = on; set client_min_messages = log")
    plans: list[dict[str, Any]] = []

    def collect(notice: psycopg.errors.Diagnostic) -> None:
        text = notice.message_primary or ""
        if "plan:" in text:
            plans.append(json.loads(text.split("plan:\n", 1)[1]))

    db.add_notice_handler(collect)
    # the sixth and later calls are where a cached plan could turn generic
    for _ in range(8):
        assert len(claim(db)) == 50
    mine = [
        plan["Plan"]
        for plan in plans
        if "auto_sync_schedules" in plan["Query Text"] and "auto_sync_claim" not in plan["Query Text"]
    ]
    assert len(mine) >= 8 * 4
    for plan in mine:
        types = Counter(node["Node Type"] for node in nodes(plan))
        assert not {"Seq Scan", "Bitmap Heap Scan", "Hash Join"} & set(types), types
        indexes = {node["Index Name"] for node in nodes(plan) if node["Node Type"] == "Index Scan"}
        assert indexes <= {
            "auto_sync_schedules_claimable_idx",
            "auto_sync_schedules_retries_idx",
            "auto_sync_schedules_pkey",
        }
        # what is read of the index is what is taken of it, a walk and a place drawn by lot besides
        read = [node for node in nodes(plan) if node.get("Index Name") == "auto_sync_schedules_claimable_idx"]
        assert sum(node["Actual Rows"] * node["Actual Loops"] for node in read) <= 1000
        assert sum(node["Shared Hit Blocks"] + node["Shared Read Blocks"] for node in read) <= 500


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
    status, failures, wait, _ = complete(db, schedule, "failed", token)
    assert (status, failures, wait.total_seconds()) == ("failed", 1, 900)
    kept = db.execute(f"select last_run_summary, claim_id, claimed_at, claims_since_run from {TABLE}").fetchall()
    assert kept == [({"synced": 3}, None, None, 0)]
    assert complete(db, schedule, "failed")[1:3] == (2, wait * 2)
    assert complete(db, schedule, "failed")[1:3] == (3, wait * 4)
    assert complete(db, schedule, "success")[1:3] == (0, wait)
    assert claim(db) == []


WINDOW = """
    insert into public.auto_sync_schedules (integration_id, organization_id, enabled, time_window_enabled,
        time_window_start, time_window_end, next_run_at)
    select gen_random_uuid(), gen_random_uuid(), true, true, (clock + interval '2 hours')::time,
        (clock + interval '4 hours')::time, now() - interval '10 hours' * random()
    from (select now() at time zone 'UTC' as clock) as clocks cross join generate_series(1, %s)
"""


@pytest.mark.parametrize("count", [5_000, pytest.param(200_000, marks=pytest.mark.long)])
def test_windows_that_are_shut_stand_in_nobodys_way_and_move_to_their_opening(schedule_db: Connect, count: int) -> None:
    db = schedule_db(None)
    fill(db, 100)
    db.execute("set session_replication_role = replica")
    db.execute(WINDOW, [count])
    db.execute("reset session_replication_role")
    db.execute(f"analyze {TABLE}")
    db.execute("set track_functions = 'all'")
    assert len(claim(db)) == 50
    # each window that is met in a minute is asked about once, not each of its rows
    [(calls,)] = db.execute(
        "select pg_stat_get_xact_function_calls('autosync.window_is_open(timestamptz, time, time, text)'::regprocedure)"
        " + pg_stat_get_function_calls('autosync.window_is_open(timestamptz, time, time, text)'::regprocedure)"
    ).fetchall() or [(0,)]
    assert (calls or 0) < 5000
    assert len(claim(db)) == 50
    assert claim(db) == []
    assert db.execute("select autosync.move_shut_windows(1500)").fetchone() == (1500,)
    moved = f"""
        select count(*), count(distinct next_run_at) from {TABLE} where next_run_at > now()
    """
    assert db.execute(moved).fetchone() == (1500, 1)
    while db.execute("select autosync.move_shut_windows(10000)").fetchone() != (0,):
        pass
    assert db.execute(moved).fetchone() == (count, 1)


def test_what_becomes_due_now_is_claimed_behind_any_number_of_shut_windows(schedule_db: Connect) -> None:
    db = schedule_db(None)
    # 600 minutes with 13 windows each, more than a claim looks at
    db.execute("set session_replication_role = replica")
    db.execute(WINDOW, [7_800])
    db.execute(
        f"""
        with numbered as (select s.id, row_number() over () as n from {TABLE} as s)
        update {TABLE} as s
        set next_run_at = now() - interval '20 minutes' - (n.n % 600) * interval '1 minute',
            time_window_end = s.time_window_end + (n.n % 13) * interval '1 minute'
        from numbered as n
        where n.id = s.id
        """.encode()
    )
    db.execute("reset session_replication_role")
    assert claim(db) == []
    fill(db, 100)
    assert [len(claim(db)) for _ in range(3)] == [50, 50, 0]


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
    db.execute("select autosync.move_shut_windows()")


def test_one_organization_delays_another_by_no_more_than_a_batch(schedule_db: Connect) -> None:
    db = schedule_db(None)
    big, small, none = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
    db.execute("set session_replication_role = replica")
    insert = (
        f"insert into {TABLE} (integration_id, organization_id, enabled, next_run_at) select gen_random_uuid(),"
        " nullif(%s, %s)::uuid, true, now() - %s * interval '1 minute' * random() from generate_series(1, %s)"
    )
    db.execute(insert, [big, none, 600, 20_000])
    for organization in (small, none):
        db.execute(insert, [organization, none, 1, 3])
    db.execute("reset session_replication_role")
    db.execute(f"analyze {TABLE}")
    taken = Counter(
        str(organization) for (organization,) in db.execute("select organization_id from public.auto_sync_claim(50)")
    )
    assert taken == {big: 44, small: 3, "None": 3}
    # the longest overdue first
    [(order,)] = db.execute(
        "select max(next_run_at) filter (where claim_id is not null)"
        " < min(next_run_at) filter (where claim_id is null) + interval '1 minute'"
        f" from {TABLE} where organization_id = %s",
        [big],
    ).fetchall()
    assert order


def test_where_more_organizations_wait_than_a_batch_takes_none_is_always_last(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    db.execute(
        f"insert into {TABLE} (integration_id, organization_id, enabled)"
        " select gen_random_uuid(), md5((n % 100)::text)::uuid, true from generate_series(1, 5000) as n"
    )
    served: Counter[Any] = Counter()
    # where to begin is drawn by lot: one in ten batches has the organization that is seldom reached
    for _ in range(120):
        rows = db.execute("select organization_id from public.auto_sync_claim(20)").fetchall()
        assert max(Counter(rows).values()) == 1
        served.update(rows)
    assert len(served) == 100


def test_what_is_claimed_and_never_completed_backs_off_and_is_handed_out_alone(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    fill(db, 1)
    owner = schedule_db()
    waits = []
    for count in range(1, 6):
        [(_, waited, claims)] = db.execute(
            "select id, coalesce((select s.claim_retry_at from public.auto_sync_schedules as s where s.id = c.id),"
            " claim_expires_at) - now(), claims_since_run from public.auto_sync_claim(50, '8 minutes') as c"
        ).fetchall()
        [(waited,)] = db.execute(
            f"select coalesce(claim_retry_at, claim_expires_at) - claimed_at from {TABLE}"
        ).fetchall()
        assert claims == count
        waits.append(waited.total_seconds() / 60)
        assert claim(db) == []
        owner.execute(
            f"update {TABLE} set claimed_at = claimed_at - %s, claim_expires_at = claim_expires_at - %s,"
            " claim_retry_at = claim_retry_at - %s",
            [waited] * 3,
        )
    assert waits == [8, 16, 32, 64, 128]
    fill(owner, 30)
    batches = []
    while rows := claim(db, 10):
        batches.append(len(rows))
    assert sorted(batches) == [1, 10, 10, 10]
    # a run ends the suspicion
    [(schedule,)] = db.execute(f"select id from {TABLE} where claims_since_run > 1").fetchall()
    complete(db, schedule, "failed")
    assert db.execute(f"select claims_since_run, claim_retry_at from {TABLE} where id = %s", [schedule]).fetchall() == [
        (0, None)
    ]


def test_after_a_function_that_died_for_all_they_come_back_in_groups(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    fill(db, 100)
    for _ in range(2):
        while claim(db, 50, "1 millisecond") and db.execute(
            f"select max(claims_since_run) from {TABLE}"
        ).fetchone() in ((0,), (1,)):
            pass
    owner = schedule_db()
    owner.execute(
        f"update {TABLE} set claims_since_run = 2, claim_retry_at = now(), claim_id = gen_random_uuid(),"
        " claimed_at = now(), claim_expires_at = now()"
    )
    sizes = []
    while rows := claim(db, 40):
        sizes.append(len(rows))
    assert sizes[:7] == [10] * 7
    assert set(sizes[7:]) == {1}


def test_the_same_claim_is_completed_once(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    fill(db, 1)
    [(schedule, token)] = claim(db)
    first = complete(db, schedule, "failed", token)
    assert complete(db, schedule, "failed", token) == first
    assert complete(db, schedule, "success", token) == first
    # a later run makes it a lost claim
    schedule_db().execute(
        f"update {TABLE} set next_run_at = now(), frequency_minutes = 1, last_run_at = now() - interval '1 day'"
    )
    [(_, later)] = claim(db)
    complete(db, schedule, "success", later)
    with pytest.raises(psycopg.Error, match="lapsed"):
        complete(db, schedule, "failed", token)


def test_a_summary_that_is_too_large_does_not_lose_the_run(schedule_db: Connect) -> None:
    db = schedule_db("service_role")
    fill(db, 1)
    [(schedule, token)] = claim(db)
    db.execute(
        "select public.auto_sync_complete(%s, 'success', jsonb_build_object('x', repeat('x', 2000000)), %s)",
        [schedule, token],
    )
    [(status, summary)] = db.execute(f"select last_run_status, last_run_summary ->> 'error' from {TABLE}").fetchall()
    assert status == "success"
    assert "2000009 bytes" in summary
    assert "16384" in summary


def test_a_row_that_another_table_is_just_referring_to_is_claimed(schedule_db: Connect) -> None:
    owner = schedule_db(autocommit=False)
    fill(owner, 3)
    owner.execute(f"create table public.referring (schedule_id uuid references {TABLE} (id))")
    owner.commit()
    try:
        owner.execute(f"insert into public.referring select id from {TABLE} limit 2")
        assert len(claim(schedule_db("service_role"))) == 3
    finally:
        owner.rollback()
        owner.execute("drop table public.referring")
        owner.commit()


def test_a_snapshot_that_is_too_old_ends_in_an_empty_claim(schedule_db: Connect) -> None:
    fill(schedule_db(), 1)
    db = schedule_db("service_role", autocommit=False)
    db.execute("set transaction isolation level repeatable read")
    assert db.execute(f"select count(*) from {TABLE}").fetchone() == (1,)
    schedule_db().execute(f"update {TABLE} set only_online = false")
    assert claim(db) == []
    db.rollback()
    assert len(claim(db)) == 1
    db.rollback()


def test_a_claim_touches_no_index(schedule_db: Connect) -> None:
    db = schedule_db(None)
    fill(db, 20)
    claims = f"select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relid = '{TABLE}'::regclass"
    db.execute("select pg_stat_force_next_flush()")
    [(updates, hot)] = db.execute(claims).fetchall()
    assert len(claim(db, 5)) == 5
    db.execute("select pg_stat_force_next_flush()")
    assert db.execute(claims).fetchall() == [(updates + 5, hot + 5)]


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


def test_service_role_has_the_functions_that_claiming_needs_and_no_other(schedule_db: Connect) -> None:
    for role in ("anon", "authenticated", "service_role"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            schedule_db(role).execute("select autosync.is_time_zone('UTC')")
    opening = "select autosync.window_is_open(now(), '00:00', '12:00', 'UTC')"
    assert schedule_db("service_role").execute(opening).fetchone() is not None
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        schedule_db("anon").execute(opening)
