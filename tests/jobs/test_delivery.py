"""How a job's call is made, repeated, skipped and reported on, as its row of autosync.job says."""

import json
from typing import Any

import psycopg
import pytest

from autosync_db.errors import CheckFailedError
from autosync_db.jobs import calls
from tests.jobs.conftest import Chain
from tests.support import clusters, keys
from tests.support.http_stub import Stub

URL = "http://project.internal"
ANSWERED = """
select exists (
    select from net._http_response as r
    join autosync.invocation as i on i.request_id = r.id
    where i.tick_id = %s
)
"""
KEY = "select idempotency_key from autosync.invocation where tick_id = %s"


def _add(chain: Chain, name: str, **columns: Any) -> None:
    """Register a job that calls a function, unless the columns say otherwise."""
    values = {
        "name": name,
        "schedule": "0 3 * * *",
        **({"function": name} if not {"url", "sql"} & set(columns) else {}),
    }
    values |= {column: json.dumps(value) if isinstance(value, dict) else value for column, value in columns.items()}
    chain.connection.execute(
        f"insert into autosync.job ({', '.join(values)}) values ({', '.join(['%s'] * len(values))})".encode(),
        list(values.values()),
    )


def _tick(chain: Chain, name: str) -> int:
    return int(chain.value("select autosync.dispatch(%s)", name))


def _decision(chain: Chain, tick: int) -> str:
    return str(chain.value("select decision from autosync.tick where id = %s", tick))


def _outcomes(chain: Chain) -> list[tuple[Any, ...]]:
    return chain.connection.execute(
        "select attempt, outcome, status_code from autosync.invocation order by id"
    ).fetchall()


def _age_retry(chain: Chain) -> None:
    chain.connection.execute("update autosync.invocation set retry_at = now() where retry_at is not null")


@pytest.fixture
def jobs(chain: Chain) -> Any:
    """The chain, whose jobs of a test go with it."""
    yield chain
    chain.connection.execute("delete from autosync.job where id > 2")


def test_a_call_is_made_as_the_row_says(jobs: Chain, stub: Stub) -> None:
    jobs.connection.execute("insert into public.pg_cron_secrets (name, secret) values ('partner_token', 'p-token-123')")
    _add(jobs, "stats", function="sync/stats?mode=daily", headers={"x-region": "eu"}, body={"full": True})
    _add(jobs, "read", method="GET", auth="none", drains=None)
    _add(
        jobs, "partner", url=f"{stub.url}/api/cron?x=1", auth="secret", secret_name="partner_token",
        secret_header="x-cron-token", secret_prefix="Token ",
    )  # fmt: skip
    for name in ("stats", "read", "partner"):
        assert jobs.settled(_tick(jobs, name)).outcome == "ok"
    stats, read, partner = stub.requests
    assert (stats.method, stats.path, json.loads(stats.body)) == (
        "POST", "/functions/v1/sync/stats?mode=daily", {"full": True},
    )  # fmt: skip
    assert (stats.headers["x-region"], "authorization" in stats.headers) == ("eu", True)
    assert (read.method, read.path, "authorization" in read.headers) == ("GET", "/functions/v1/read", False)
    assert (partner.path, partner.headers["x-cron-token"]) == ("/api/cron?x=1", "Token p-token-123")
    assert not {"authorization", "apikey"} & set(partner.headers)
    assert "x-autosync-batch-size" not in stats.headers


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"url": "https://example.com/x"}, "job_key_stays_home_check"),
        ({"url": "https://example.com/x", "auth": "cron_secret"}, "job_key_stays_home_check"),
        ({"url": "https://example.com/x", "auth": "none", "sql": "select 1"}, "job_kind_check"),
        ({"auth": "secret"}, "job_secret_check"),
    ],
)
def test_what_must_not_be_is_no_row(columns: dict[str, Any], constraint: str, unsent: Chain) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        _add(unsent, "wrong", **columns)
    assert caught.value.diag.constraint_name == constraint


def test_only_a_draining_job_counts_what_is_due_and_fans_out(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.add_due(400)
    for name in ("daily-report", "digest"):
        _add(unsent, name)
    made = {
        name: len(unsent.requests(_tick(unsent, name))) for name in ("auto-sync-cron-job", "daily-report", "digest")
    }
    assert made == {"auto-sync-cron-job": 4, "daily-report": 1, "digest": 1}


def test_what_may_pass_is_repeated_under_the_same_key_and_only_so_often(jobs: Chain, stub: Stub) -> None:
    _add(jobs, "retrying", retry_attempts=3, retry_wait="1 second")
    stub.answer(503)
    jobs.settled(_tick(jobs, "retrying"))
    # not before its time
    jobs.connection.execute("update autosync.invocation set retry_at = now() + interval '1 hour'")
    assert jobs.value("select autosync.keep_house() ->> 'repeated'") == "0"
    for attempt in (2, 3, 4):
        _age_retry(jobs)
        jobs.value("select autosync.keep_house()")

        def settled() -> bool:
            jobs.value("select autosync.settle()")
            return bool(jobs.value("select bool_and(outcome <> 'pending') from autosync.invocation"))

        clusters.wait_for(settled, f"the outcome of attempt {attempt}")
    assert _outcomes(jobs) == [(1, "http_error", 503), (2, "http_error", 503), (3, "http_error", 503)]
    assert len({request.headers["idempotency-key"] for request in stub.requests}) == 1
    assert [request.headers["x-autosync-attempt"] for request in stub.requests] == ["1", "2", "3"]


def test_a_worker_that_stands_still_gets_no_more_repeated_calls_than_it_can_send(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    for name, most in (("retrying", 4), ("single", 1)):
        _add(unsent, name, retry_attempts=3, max_requests=most)
        unsent.connection.execute(
            "insert into autosync.invocation (job_id, request_id, timeout_milliseconds, settled_at, outcome, retry_at)"
            " select j.id, -n, 1000, now(), 'network_error', now() - interval '1 minute'"
            " from autosync.job as j, generate_series(1, 9) as n where j.name = %s",
            [name],
        )
    # the call of a tick that has just posted keeps no repeated one from being made
    _tick(unsent, "single")
    assert [unsent.value("select autosync.keep_house() ->> 'repeated'") for _ in range(3)] == ["6", "0", "0"]
    left = "select count(*) from autosync.invocation where retry_at is not null"
    assert unsent.value(left) == 12
    unsent.connection.execute("delete from net.http_request_queue")
    assert unsent.value("select autosync.keep_house() ->> 'repeated'") == "6"


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_what_does_not_pass_by_itself_is_not_repeated(status: int, jobs: Chain, stub: Stub) -> None:
    _add(jobs, "retrying", retry_attempts=3, retry_wait="1 second")
    stub.answer(status)
    jobs.settled(_tick(jobs, "retrying"))
    assert jobs.value("select count(*) from autosync.invocation where retry_at is not null") == 0


def test_a_pause_ends_what_was_to_be_repeated(jobs: Chain, stub: Stub) -> None:
    _add(jobs, "retrying", retry_attempts=3, retry_wait="1 second")
    stub.answer(502)
    jobs.settled(_tick(jobs, "retrying"))
    jobs.connection.execute("update autosync.job set paused_at = now() where name = 'retrying'")
    _age_retry(jobs)
    assert jobs.value("select autosync.keep_house() ->> 'repeated'") == "0"
    assert len(stub.requests) == 1


def test_a_job_that_does_not_overlap_waits_for_its_answer(jobs: Chain, stub: Stub) -> None:
    _add(jobs, "single", overlap="skip")
    stub.answer(200, delay_seconds=30)
    first = _tick(jobs, "single")
    clusters.wait_for(lambda: stub.requests, "the call")
    assert _decision(jobs, _tick(jobs, "single")) == "overlapping"
    stub.release.set()
    clusters.wait_for(lambda: jobs.value(ANSWERED, first), "the answer")
    # nothing has settled it: the tick looks for itself
    assert [request.is_settled for request in jobs.requests(first)] == [False]
    assert _decision(jobs, _tick(jobs, "single")) == "posted"


def test_an_accepted_call_ends_with_its_report(jobs: Chain, stub: Stub) -> None:
    _add(jobs, "worker", reports_within="15 minutes", overlap="skip")
    stub.answer(202, {"ok": True, "accepted": True})
    tick = _tick(jobs, "worker")

    def accepted() -> bool:
        jobs.value("select autosync.settle()")
        return bool(jobs.value("select outcome = 'accepted' from autosync.invocation where tick_id = %s", tick))

    clusters.wait_for(accepted, "the acknowledgment")
    [request] = stub.requests
    assert (request.headers["x-autosync-report"], request.headers["x-autosync-timeout-ms"]) == ("1", "900000")
    assert _decision(jobs, _tick(jobs, "worker")) == "overlapping"
    with pytest.raises(CheckFailedError, match="202 and has not reported yet"):
        calls.require_success(calls.of_tick(jobs.connection, "worker", tick))
    report = "select public.auto_sync_report(%s, %s, %s)"
    key, summary = jobs.value(KEY, tick), json.dumps({"duration_ms": 4200.4, "counts": {"claimed": 3, "failed": 0}})
    jobs.connection.execute("set role service_role")
    assert jobs.value(report, key, "success", summary) == "ok"
    assert jobs.value(report, key, "success", summary) == "ok"
    for values, code in (
        ((key, "failed", None), "PT409"),
        (("00000000-0000-4000-8000-000000000000", "success", None), "PT404"),
        ((key, "fine", None), "23514"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            jobs.value(report, *values)
        assert caught.value.sqlstate == code
    jobs.connection.execute("reset role")
    found = jobs.connection.execute(
        "select outcome, function_milliseconds, counts, status_code from autosync.invocation where tick_id = %s", [tick]
    ).fetchone()
    assert found == ("ok", 4200, {"claimed": 3, "failed": 0}, 202)


def test_a_report_before_anybody_looked_keeps_what_the_answer_says(jobs: Chain, stub: Stub) -> None:
    _add(jobs, "worker", reports_within="15 minutes")
    stub.answer(202)
    stub.headers = {"sb-request-id": "r-1"}
    tick = _tick(jobs, "worker")
    clusters.wait_for(lambda: jobs.value(ANSWERED, tick), "the acknowledgment")
    report, key = "select public.auto_sync_report(%s, 'success')", jobs.value(KEY, tick)
    assert jobs.value(report, key) == "ok"
    kept = "select status_code, sb_request_id, answered_at is not null from autosync.invocation where tick_id = %s"
    assert jobs.connection.execute(kept.encode(), [tick]).fetchone() == (202, "r-1", True)


def test_a_report_that_does_not_come_is_a_failure_and_a_late_one_is_refused(jobs: Chain, stub: Stub) -> None:
    _add(jobs, "worker", reports_within="15 minutes")
    stub.answer(202)
    tick = _tick(jobs, "worker")
    accepted = "select outcome = 'accepted' from autosync.invocation where tick_id = %s"
    clusters.wait_for(lambda: jobs.value("select autosync.settle()") >= 0 and jobs.value(accepted, tick), "the answer")
    jobs.connection.execute("update autosync.invocation set report_due_at = now()")
    assert jobs.value("select autosync.keep_house() ->> 'unreported'") == "1"
    [found] = jobs.requests(tick)
    assert (found.outcome, found.is_settled) == ("timed_out", True)
    with pytest.raises(psycopg.Error, match="has ended already: timed_out"):
        jobs.value("select public.auto_sync_report(%s, 'success')", jobs.value(KEY, tick))


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_users_of_the_api_cannot_report_whatever_a_restore_granted(role: str, unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    key = unsent.value(KEY, unsent.dispatch())
    unsent.connection.execute("grant execute on function public.auto_sync_report(uuid, text, jsonb) to public")
    unsent.connection.execute(f"set local role {role}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        unsent.value("select public.auto_sync_report(%s, 'success')", key)


def test_what_an_answer_says_of_the_run_is_kept(jobs: Chain, stub: Stub) -> None:
    stub.answer(200, {"ok": False, "duration_ms": 12, "counts": {"failed": 2}, "error": "no such device"})
    stub.headers = {"sb-request-id": "r-1", "x-deno-execution-id": "e-1"}
    tick = jobs.dispatch()
    jobs.settled(tick)
    found = jobs.connection.execute(
        "select outcome, function_milliseconds, counts, error_message, sb_request_id, execution_id"
        " from autosync.invocation where tick_id = %s",
        [tick],
    ).fetchone()
    assert found == ("failed", 12, {"failed": 2}, "no such device", "r-1", "e-1")


def test_a_rename_keeps_the_history(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    _add(unsent, "before")
    tick = _tick(unsent, "before")
    unsent.connection.execute("update autosync.job set name = 'after' where name = 'before'")
    assert unsent.value("select array_agg(tick_id) from autosync.recent_outcomes('after', 5)") == [tick]


@pytest.mark.parametrize(
    ("schedules", "wanted"),
    [
        (["*/5 * * * *"], "*/5 * * * *"),
        (["0 6 * * *"], "*/5 * * * *"),
        (["*/15 * * * *", "*/2 * * * *"], "*/2 * * * *"),
        (["* * * * *"], "* * * * *"),
        (["5 seconds"], "* * * * *"),
        (["0-30/3 * * * *"], "* * * * *"),
    ],
)
def test_housekeeping_is_as_frequent_as_the_busiest_job(schedules: list[str], wanted: str, unsent: Chain) -> None:
    unsent.connection.execute("delete from autosync.job where sql is null")
    for number, schedule in enumerate(schedules):
        _add(unsent, f"job-{number}", schedule=schedule)
    assert unsent.value("select autosync.house_schedule()") == wanted


def test_scheduling_a_busier_job_makes_housekeeping_busier(unsent: Chain) -> None:
    house = "select schedule from cron.job where jobname = 'autosync-keep-house'"
    _add(unsent, "busy", schedule="* * * * *")
    assert unsent.value("select autosync.sync_job('busy')") == "created"
    assert unsent.value(house) == "* * * * *"


def test_a_job_of_somebody_else_is_not_overwritten(unsent: Chain) -> None:
    unsent.connection.execute("select cron.schedule('cleanup', '0 3 * * 0', 'delete from t')")
    _add(unsent, "cleanup")
    with pytest.raises(psycopg.Error) as caught, unsent.connection.transaction():
        unsent.value("select autosync.sync_job('cleanup')")
    assert (caught.value.sqlstate, "jobs adopt cleanup" in str(caught.value.diag.message_hint)) == ("AS010", True)
    assert unsent.value("select command from cron.job where jobname = 'cleanup'") == "delete from t"


def test_a_statement_is_scheduled_as_it_is(unsent: Chain) -> None:
    _add(unsent, "nightly-cleanup", sql="select 1 as done")
    assert unsent.value("select autosync.sync_job('nightly-cleanup')") == "created"
    assert unsent.value("select command from cron.job where jobname = 'nightly-cleanup'") == "select 1 as done"
    unsent.connection.execute(
        "update autosync.job set sql = 'select 2', enabled = false where name = 'nightly-cleanup'"
    )
    assert unsent.value("select autosync.sync_job('nightly-cleanup')") == "changed"
    found = unsent.connection.execute(
        "select command, active from cron.job where jobname = 'nightly-cleanup'"
    ).fetchone()
    assert found == ("select 2", False)
