"""Ticks of the database against the shipped function on real Deno: side by side, over one another, cut short."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import clusters
from tests.support.edge import Database, Edge, Keys, StartEdge
from tests.support.http_stub import Request, Stub


def _bearer(keys: Keys) -> dict[str, str]:
    return {"authorization": f"Bearer {keys.token('service_role')}"}


@pytest.fixture
def edge(start_edge: StartEdge, steered_functions: Path, database: Database, keys: Keys) -> Iterator[Edge]:
    """A project with a function that makes one call at a time, so that what overlaps is of several requests."""
    environment = {
        "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
        "AUTOSYNC_DB_URL": database.api_url,
        "SUPABASE_ANON_KEY": keys.token("anon"),
        "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
    }
    edge = start_edge(steered_functions, environment, {"AUTOSYNC_CONCURRENCY": "1"})
    secrets = {"project_url": f"http://127.0.0.1:{edge.port}", "service_role_key": keys.token("service_role")}
    with clusters.pg_net_worker(database.cluster):
        for name, value in secrets.items():
            database.rows("insert into public.pg_cron_secrets (name, secret) values (%s, %s)", name, value)
        yield edge


@pytest.fixture
def asked(edge: Edge, keys: Keys, database: Database) -> Any:
    """A function that returns what the steered device-sync was asked since the test began; both functions are warm."""
    edge.call("auto-sync-cron", headers=_bearer(keys)).raise_for_status()
    edge.call("device-sync", "DELETE", headers=_bearer(keys)).raise_for_status()
    return lambda: edge.call("device-sync", "GET", headers=_bearer(keys)).json()


def _tick(database: Database) -> int:
    [(tick,)] = database.rows("select autosync.dispatch()")
    return int(tick)


def _answers(database: Database, *ticks: int) -> list[dict[str, Any]]:
    """Return the counts of every answer to these ticks, once all of them have come."""

    def all_there() -> list[tuple[Any, ...]]:
        rows = database.rows(
            "select r.status_code, r.content::jsonb from autosync.invocation as i"
            " left join net._http_response as r on r.id = i.request_id"
            " where i.tick_id = any(%s) order by i.id",
            list(ticks),
        )
        return rows if all(status is not None for status, _ in rows) else []

    rows = clusters.wait_for(all_there, "the answers to the ticks", patience=60)
    assert {status for status, _ in rows} == {200}
    return [dict(body["counts"]) for _, body in rows]


def _most_at_once(spans: list[dict[str, Any]]) -> int:
    return max(len([o for o in spans if o["started"] <= span["started"] < o["ended"]]) for span in spans)


def test_the_requests_of_a_tick_run_side_by_side_and_claim_disjoint_schedules(
    edge: Edge, database: Database, asked: Any
) -> None:
    database.rows("update autosync.job set batch_size = 4, max_requests = 3")
    database.add(*["slow"] * 12)
    answers = _answers(database, _tick(database))
    assert len(answers) == 3
    assert sum(answer["succeeded"] for answer in answers) == 12
    assert all(answer["claimed"] >= 1 for answer in answers), "each request had a share"
    seen = asked()
    assert set(Counter(span["integration"] for span in seen["spans"]).values()) == {1}
    assert len(seen["spans"]) == 12
    assert _most_at_once(seen["spans"]) >= 2, "one request makes one call at a time"


def test_two_ticks_that_overlap_sync_each_schedule_once(edge: Edge, database: Database, asked: Any) -> None:
    database.rows("update autosync.job set batch_size = 5, max_requests = 2")
    schedules = database.add(*["slow"] * 10)
    ticks = _tick(database), _tick(database)
    answers = _answers(database, *ticks)
    assert sum(answer["succeeded"] for answer in answers) == 10
    assert sum(answer["lost"] + answer["refused"] for answer in answers) == 0
    calls = Counter(call["body"]["integration_id"] for call in asked()["calls"])
    assert sorted(calls.values()) == [1] * 10
    assert {database.outcome(schedule)[0] for schedule in schedules} == {"success"}


def _calls(database: Database, tick: int) -> list[dict[str, Any]]:
    """Return the calls of a tick, as the ledger has them after housekeeping."""
    database.rows("select autosync.keep_house()")
    rows = database.rows("select to_jsonb(i) from autosync.invocation as i where i.tick_id = %s order by i.id", tick)
    return [dict(row) for (row,) in rows]


def _all_are(outcome: str, database: Database, tick: int) -> list[dict[str, Any]]:
    calls = _calls(database, tick)
    return calls if calls and {call["outcome"] for call in calls} == {outcome} else []


def test_a_call_is_accepted_at_once_works_on_and_reports(
    edge: Edge, keys: Keys, database: Database, asked: Any
) -> None:
    database.rows("update autosync.job set reports_within = '10 minutes', batch_size = 1, max_requests = 2")
    schedules = database.add("held", "held", "fine", "only-errors")
    tick = _tick(database)
    accepted = clusters.wait_for(lambda: _all_are("accepted", database, tick), "both calls are accepted")
    assert [call["status_code"] for call in accepted] == [202, 202]
    # whose schedule is taken first is drawn by lot
    clusters.wait_for(lambda: len(asked()["calls"]) >= 2, "both work on")
    edge.call("device-sync", "PUT", headers=_bearer(keys)).raise_for_status()
    ended = clusters.wait_for(lambda: _all_are("ok", database, tick), "both calls are reported", patience=60)
    assert all(call["reported_at"] and call["function_milliseconds"] > 0 for call in ended)
    assert sum(call["counts"]["succeeded"] for call in ended) == 3
    assert sum(call["counts"]["failed"] for call in ended) == 1
    assert {database.outcome(schedule)[0] for schedule in schedules} == {"success", "failed"}


def test_a_run_that_fails_after_its_acknowledgement_is_reported_as_failed(edge: Edge, database: Database) -> None:
    database.rows("update autosync.job set reports_within = '10 minutes'")
    database.rows("revoke execute on function public.auto_sync_claim from service_role")
    tick = _tick(database)
    [call] = clusters.wait_for(lambda: _all_are("failed", database, tick), "the call is reported as failed")
    assert "permission denied for function auto_sync_claim" in call["error_message"]


def test_a_retry_is_the_same_call_and_its_work_is_not_done_again(edge: Edge, database: Database, asked: Any) -> None:
    """The answer to the first attempt got lost on its way, as libcurl or a gateway loses one."""
    database.rows("update autosync.job set retry_attempts = 2, retry_wait = '0'")
    database.add("fine")
    tick = _tick(database)
    _answers(database, tick)
    database.rows(
        "update net._http_response set status_code = null, error_msg = 'Server returned nothing (no headers, no data)'"
    )
    database.rows("select autosync.keep_house()")
    first, second = clusters.wait_for(lambda: _retried(database, tick), "the second attempt has ended")
    assert (first["outcome"], second["outcome"]) == ("network_error", "ok")
    assert first["idempotency_key"] == second["idempotency_key"]
    # the answer of the first: another run would have found nothing due
    assert second["counts"]["succeeded"] == 1
    assert len(asked()["calls"]) == 1


def _retried(database: Database, tick: int) -> list[dict[str, Any]]:
    calls = _calls(database, tick)
    attempts = database.rows(
        "select to_jsonb(i) from autosync.invocation as i where i.retries = %s and i.outcome <> 'pending'",
        calls[0]["id"],
    )
    return [calls[0], *(dict(row) for (row,) in attempts)] if attempts else []


def test_schedules_of_a_killed_run_return_when_the_lease_ends(
    edge: Edge, keys: Keys, database: Database, asked: Any
) -> None:
    schedules = database.add("fine", "never", "fine")
    answers: list[httpx.Response] = []
    running = threading.Thread(target=lambda: answers.append(edge.call("auto-sync-cron", headers=_bearer(keys))))
    running.start()
    clusters.wait_for(
        lambda: any(call["body"]["options"]["deviceTags"] == ["never"] for call in asked()["calls"]),
        "the call that never ends",
    )
    for pid in edge.worker_pids():
        os.kill(pid, signal.SIGKILL)
    running.join()
    assert answers[0].status_code >= 500
    held = [id_ for id_ in schedules if database.outcome(id_)[2] is not None]
    assert schedules[1] in held

    assert edge.call("auto-sync-cron", headers=_bearer(keys)).json()["counts"]["claimed"] == 0, "the lease still runs"
    database.rows("update public.auto_sync_schedules set device_tags = array['fine']")
    database.rows(
        "update public.auto_sync_schedules set claim_expires_at = clock_timestamp() where claim_id is not null"
    )
    assert edge.call("auto-sync-cron", headers=_bearer(keys)).json()["counts"]["succeeded"] == len(held)
    assert [database.outcome(id_)[::2] for id_ in schedules] == [("success", None)] * 3


@pytest.mark.long
def test_work_that_goes_on_after_an_acknowledgement_lets_no_other_job_wait(
    edge: Edge, database: Database, asked: Any, stub: Stub
) -> None:
    """20 jobs beside 200 due schedules: no call waits for the end of the work on these, which takes 12 s."""
    names = [f"other-{number}" for number in range(20)]
    arrived: dict[str, list[float]] = {name: [] for name in names}

    def judge(request: Request) -> int:
        arrived[request.path.strip("/")].append(time.time())
        return 200

    stub.judge = judge
    database.rows("update autosync.job set reports_within = '10 minutes', batch_size = 50, max_requests = 4")
    for name in names:
        database.rows(
            "insert into autosync.job (name, url, schedule, auth) values (%s, %s, '* * * * *', 'none')",
            name,
            f"{stub.url}/{name}",
        )
    try:
        database.add(*["slow"] * 200)
        tick = _tick(database)
        while True:
            for name in names:
                database.rows("select autosync.dispatch(%s)", name)
            if _all_are("ok", database, tick):
                break
            # a condition cannot be waited for here: this is how often the jobs tick
            time.sleep(1)

        def all_answered() -> bool:
            database.rows("select autosync.keep_house()")
            return not database.rows("select 1 from autosync.invocation where outcome = 'pending'")

        clusters.wait_for(all_answered, "every call to be answered")
        waits = [
            seen - queued.timestamp()
            for name in names
            for seen, (queued,) in zip(
                arrived[name],
                database.rows(
                    "select i.queued_at from autosync.invocation as i join autosync.job as j on j.id = i.job_id"
                    " where j.name = %s order by i.id",
                    name,
                ),
                strict=True,
            )
        ]
        mean = sum(waits) / len(waits)
        print(f"\n{len(waits)} calls of 20 jobs waited {max(waits):.2f} s at most, {mean:.3f} s on average")
        assert len(asked()["spans"]) == 200
        assert max(waits) < 5
    finally:
        database.rows("delete from autosync.job where name like 'other-%'")
