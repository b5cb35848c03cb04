"""Who hears what, and how often: the real chain, with HTTP receivers that fail, are slow, redirect and come back."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from autosync_db import cron, resources
from autosync_db.jobs import registry
from autosync_db.local.cluster import Cluster, free_port
from tests.jobs.conftest import Chain
from tests.support import clusters, command, http_stub, keys
from tests.support.health import NEVER
from tests.support.held_up import HOLDS_UP, held_up
from tests.support.http_stub import Stub

JOB = "auto-sync-cron-job"


@dataclass
class Night:
    """The chain, its receivers by kind, and time that passes at once."""

    chain: Chain
    receivers: dict[str, Stub]

    def add(
        self, kind: str, form: str = "", job: str | None = None, path: str = "/T0/B0/secret-of-the-address"
    ) -> Stub:
        """Set a receiver up as `alerts set` does, and return the server behind it."""
        stub = self.receivers[kind]
        name = f"alert_{kind}"
        self.sql("insert into public.pg_cron_secrets (name, secret) values (%s, %s)", name, stub.url + path)
        self.sql(
            "insert into autosync.alert_receiver (kind, form, job_id, secret_name)"
            " values (%s, %s, (select id from autosync.job where name = %s), %s)",
            kind, form or kind, job, name,
        )  # fmt: skip
        return stub

    def sql(self, text: str, *values: object) -> None:
        """Run a statement."""
        self.chain.connection.execute(text.encode(), values or None)

    def rows(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.chain.connection.execute(text.encode(), values or None).fetchall()

    def tick(self, times: int = 1) -> None:
        """Let the job tick, and each call be answered and settled."""
        for _ in range(times):
            self.chain.settled(self.chain.dispatch(force=True))

    def keep_house(self) -> None:
        """Run housekeeping, and wait for what it posted to be answered."""
        done = self.chain.value("select autosync.keep_house()")
        assert "errors" not in done, done
        self.settle()

    def settle(self) -> None:
        """Wait until pg_net has the answers to all that was posted, and read them."""

        def answered() -> bool:
            return not self.rows(
                "select from autosync.alert as a where a.outcome = 'posted' and not exists"
                " (select from net._http_response as r where r.id = a.request_ids[cardinality(a.request_ids)])"
            )

        clusters.wait_for(answered, "the answers to messages")
        self.sql("select autosync.settle_alerts()")

    def later(self, minutes: float = 10.1) -> None:
        """Let time pass for what waits, and run housekeeping."""
        self.sql(
            "update autosync.alert set next_try_at = next_try_at - %s * interval '1 minute' where outcome = 'waiting'",
            minutes,
        )
        self.sql("update autosync.alert_state set said_at = said_at - %s * interval '1 minute'", minutes)
        self.keep_house()

    def state(self) -> str:
        """Return what was last seen of the job."""
        return str(self.chain.value("select state from autosync.alert_state"))

    def outcomes(self) -> list[str]:
        """Return what became of each message, oldest first."""
        return [outcome for (outcome,) in self.rows("select outcome from autosync.alert order by id")]


def heard(stub: Stub) -> list[dict[str, Any]]:
    """Return what a receiver was sent."""
    return [json.loads(request.body) for request in stub.requests]


def events(stub: Stub) -> list[str]:
    """Return the kinds of the messages that a webhook got."""
    return [one["event"] for one in heard(stub)]


@pytest.fixture
def night(chain: Chain) -> Iterator[Night]:
    """The chain with its job in cron.job, and three receivers nobody has set up yet."""
    with ExitStack() as stack:
        stubs = {kind: stack.enter_context(http_stub.serve()) for kind in ("slack", "webhook", "heartbeat")}
        made = Night(chain, stubs)
        made.sql("update autosync.job set schedule = %s", NEVER)
        made.sql("select autosync.sync_job(%s)", JOB)
        yield made
        made.sql("select cron.unschedule(jobid) from cron.job")
        made.sql("truncate autosync.alert, autosync.alert_state, autosync.alert_receiver, cron.job_run_details")
        made.sql("delete from autosync.setting where name in ('alerts', 'alerts_error', 'binding')")
        made.sql("delete from autosync.job where name not in (%s, 'autosync-keep-house')", JOB)


def test_a_fault_is_said_once_and_its_end_once(night: Night, stub: Stub) -> None:
    webhook, slack = night.add("webhook"), night.add("slack")
    night.tick()
    night.keep_house()
    stub.answer(500, {"error": "the words of the answer"})
    night.tick()
    night.keep_house()
    assert events(webhook) == []  # one failure is none yet
    night.tick()
    for _ in range(3):
        night.keep_house()
    night.tick(3)
    night.later()
    assert events(webhook) == ["fault"]
    fault = heard(webhook)[0]
    assert (fault["job"], fault["state"], fault["cause"], fault["check"]) == (
        JOB, "calls_failing", "function", "function_succeeds",
    )  # fmt: skip
    assert fault["evidence"].startswith("500")
    assert fault["fix"] == f"autosync-db runs --job {JOB}"
    stub.answer()
    night.tick()
    night.later()
    night.later()
    assert events(webhook) == ["fault", "recovered"]
    assert [one["text"].partition("\n")[0].partition(" (")[0] for one in heard(slack)] == [
        f":red_circle: *{JOB}* fails: the function fails",
        f":large_green_circle: *{JOB}* works again",
    ]
    assert heard(webhook)[1]["was"] == "the function fails"
    assert "the function fails: failed since" in heard(slack)[1]["text"]
    assert "the words of the answer" not in str([request.body for request in webhook.requests + slack.requests])
    assert set(night.outcomes()) == {"delivered"}


def test_a_missing_function_is_deployed_where_the_platform_has_it(transaction: psycopg.Connection[Any]) -> None:
    def fix() -> Any:
        call = Jsonb({"outcome": "http_error", "status_code": 404, "queued_at": "2026-11-28T03:10:00Z"})
        query = "select autosync.failure_facts(%s, 'missing', 2, %s) ->> 'fix'"
        return transaction.execute(query, [JOB, call]).fetchall()[0][0]

    assert fix() == f"autosync-db verify --job {JOB}"
    transaction.execute(
        "insert into autosync.setting (name, value) values ('binding', %s)", [Jsonb({"project_ref": keys.PROJECT_REF})]
    )
    assert fix() == "supabase functions deploy auto-sync-cron"


def test_a_missing_secret_is_said_at_once_and_ends_with_a_good_call(night: Night) -> None:
    webhook = night.add("webhook")
    night.tick()
    night.keep_house()
    night.sql("delete from public.pg_cron_secrets where name = 'service_role_key'")
    night.keep_house()
    (fault,) = heard(webhook)
    assert (fault["state"], fault["cause"], fault["check"]) == ("missing_secret", "service_role_key", "secrets_present")
    # runs failed for it meanwhile, which is no other fault; that the secret is back proves nothing yet
    night.sql(
        "insert into cron.job_run_details (jobid, runid, status, return_message, start_time, end_time)"
        " select jobid, 1000000 + n, 'failed', 'ERROR:  the secret is missing', now(), now()"
        " from cron.job cross join generate_series(1, 3) as n where jobname = %s",
        JOB,
    )
    night.keep_house()
    night.sql(
        "insert into public.pg_cron_secrets (name, secret) values ('service_role_key', %s)", keys.legacy().reveal()
    )
    night.later()
    assert events(webhook) == ["fault"]
    night.tick()
    night.later()
    assert events(webhook) == ["fault", "recovered"]


def test_a_missed_tick_an_overdue_schedule_and_a_failing_statement_are_said(night: Night) -> None:
    webhook = night.add("webhook")
    night.sql("insert into autosync.job (name, sql, schedule) values ('nightly', 'select 1', %s)", NEVER)
    night.sql("select autosync.sync_job('nightly')")
    night.tick()
    night.keep_house()
    night.sql(
        "insert into cron.job_run_details (jobid, runid, status, return_message, start_time, end_time)"
        " select jobid, 1000000 + n, 'failed', %s, now(), now()"
        " from cron.job cross join generate_series(1, 2) as n"
        " where jobname = 'nightly'",
        "ERROR:  duplicate key in table t of sb_secret_" + "x" * 30 + "\nDETAIL:  Key (email)=(someone@example.com)",
    )
    night.chain.add_due(3)
    night.sql("update public.auto_sync_schedules set last_run_at = now() - interval '90 days'")
    night.sql("update autosync.job set schedule = '*/5 * * * *' where name = %s", JOB)
    night.keep_house()
    found = {one["job"]: one for one in heard(webhook)}
    assert found[JOB]["state"] == "schedules_overdue"
    assert "3 schedules are due" in found[JOB]["evidence"]
    assert found["nightly"]["evidence"].endswith("duplicate key in table t of ***")
    assert "someone" not in str(found)
    # pg_cron forgot the job
    night.sql("select cron.unschedule(%s)", JOB)
    night.later()
    assert [one["check"] for one in heard(webhook) if one["job"] == JOB] == ["schedules_not_overdue", "job_scheduled"]
    night.sql("update autosync.job set schedule = %s where name = %s", NEVER, JOB)
    night.sql("select autosync.sync_job(%s)", JOB)
    night.sql("delete from public.auto_sync_schedules")
    night.tick()
    night.later()
    assert [one["event"] for one in heard(webhook) if one["job"] == JOB] == ["fault", "fault", "recovered"]


@pytest.mark.parametrize(
    "way",
    ["fails", "redirects", *(pytest.param(way, marks=pytest.mark.long) for way in ("refuses", "limits", "hangs up"))],
)
def test_a_receiver_that_comes_back_gets_each_state_once(way: str, night: Night, stub: Stub) -> None:
    webhook = night.add("webhook", path="/in")
    notified = webhook.requests
    if way == "refuses":
        night.sql(
            "update public.pg_cron_secrets set secret = %s where name = 'alert_webhook'",
            f"http://127.0.0.1:{free_port()}/in",
        )
    elif way == "redirects":
        webhook.redirects = {"/in": webhook.url + "/elsewhere"}
        webhook.redirect_status = 302
    elif way == "hangs up":
        webhook.body = b""
        webhook.headers = {"content-length": "10", "connection": "close"}  # and sends nothing
        webhook.status = 500
    else:
        webhook.answer(429 if way == "limits" else 503)
        webhook.headers = {"retry-after": "1200"}
    stub.answer(500)
    night.tick(2)
    night.keep_house()
    if way == "limits":
        night.later(19)  # not before the receiver wants it
        assert len(notified) == 1
    night.later(61)
    assert night.outcomes() == ["waiting"]
    stub.answer()
    night.tick()
    night.later(61)
    assert night.outcomes() == ["waiting", "waiting"]  # in order: the fault before its end
    webhook.answer()
    night.sql("update public.pg_cron_secrets set secret = %s where name = 'alert_webhook'", webhook.url + "/in")
    notified.clear()
    night.later(61)
    night.later(61)
    night.later(61)
    assert events(webhook) == ["fault", "recovered"]
    assert night.outcomes() == ["delivered", "delivered"]


@pytest.mark.long
def test_a_receiver_that_never_comes_back_is_given_up(night: Night, stub: Stub) -> None:
    webhook = night.add("webhook")
    webhook.answer(404)
    stub.answer(500)
    night.tick(2)
    for _ in range(14):
        night.later(61)
    assert night.outcomes() == ["given_up"]
    assert len(webhook.requests) == 12


def test_a_slow_receiver_gets_it_once(night: Night, stub: Stub) -> None:
    webhook = night.add("webhook")
    webhook.answer(200, delay_seconds=2)
    stub.answer(500)
    night.tick(2)
    night.sql("select autosync.keep_house()")
    night.sql("select autosync.keep_house()")  # while it has not answered
    night.settle()
    night.later()
    assert events(webhook) == ["fault"]
    assert night.outcomes() == ["delivered"]


@pytest.mark.long
def test_a_receiver_that_answers_too_late_gets_it_once(night: Night, stub: Stub) -> None:
    webhook = night.add("webhook")
    webhook.answer(200, delay_seconds=12)
    stub.answer(500)
    night.tick(2)
    night.keep_house()
    night.later(61)
    assert events(webhook) == ["fault"]
    assert night.outcomes() == ["unconfirmed"]


def test_a_message_that_left_the_queue_is_sent_again_once_its_answer_must_be_there(night: Night, stub: Stub) -> None:
    webhook = night.add("webhook")
    stub.answer(500)
    night.tick(2)
    night.keep_house()
    night.sql("delete from net._http_response")
    for age, outcome in (("20 seconds", "posted"), ("26 seconds", "waiting")):
        night.sql("update autosync.alert set outcome = 'posted', posted_at = now() - %s::interval", age)
        night.sql("select autosync.settle_alerts()")
        assert night.outcomes() == [outcome]
    night.later(61)
    assert events(webhook) == ["fault", "fault"]
    assert night.outcomes() == ["delivered"]


def test_a_flapping_job_is_one_message_in_ten_minutes_and_then_a_summary(night: Night, stub: Stub) -> None:
    webhook = night.add("webhook")
    night.sql("insert into autosync.setting (name, value) values ('alerts', '{\"after\": 1}')")
    for status in (500, 200, 500, 200, 500):
        stub.answer(status)
        night.tick()
        night.keep_house()
    assert events(webhook) == ["fault"]
    night.later()
    assert events(webhook) == ["fault", "summary"]
    summary = heard(webhook)[-1]
    assert (summary["changes"], summary["state"]) == (4, "calls_failing")
    stub.answer()
    night.tick()
    night.keep_house()
    assert len(webhook.requests) == 2
    night.later()
    assert events(webhook) == ["fault", "summary", "recovered"]


def test_housekeepings_at_once_say_it_once(night: Night, served: Cluster, stub: Stub) -> None:
    webhook = night.add("webhook")
    stub.answer(500)
    night.tick(2)

    def keep_house() -> None:
        with clusters.connect(served) as connection:
            for _ in range(3):
                # also where one begins as the other ends
                connection.execute("select autosync.raise_alerts()")

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(keep_house) for _ in range(4)]:
            done.result()
    night.settle()
    assert events(webhook) == ["fault"]
    # without the lock of the whole, the rows decide all the same
    stub.answer()
    night.tick()
    night.sql("update autosync.alert_state set said_at = said_at - interval '1 hour'")
    with psycopg.connect(served.url().reveal()) as one, psycopg.connect(served.url().reveal()) as other:
        one.execute("select autosync.note_job_states()")
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(other.execute, "select autosync.note_job_states()")
            waits = "select from pg_stat_activity where wait_event_type = 'Lock'"
            clusters.wait_for(lambda: night.rows(waits), "the second to wait for the first")
            one.commit()
            second.result()
        other.commit()
    night.keep_house()
    assert events(webhook) == ["fault", "recovered"]


def test_a_heartbeat_follows_a_proven_success_alone(night: Night, stub: Stub) -> None:
    beat = night.add("heartbeat", "get")
    stub.answer(200, "done")  # proves nothing
    night.tick()
    night.keep_house()
    stub.answer(500)
    night.tick()
    night.keep_house()
    assert beat.requests == []
    stub.answer()
    night.tick()
    night.keep_house()
    night.keep_house()
    assert [(one.method, one.path) for one in beat.requests] == [("GET", "/T0/B0/secret-of-the-address")]
    sent = beat.requests[0].headers
    assert not {"authorization", "apikey"} & set(sent)
    night.tick()
    night.keep_house()
    assert len(beat.requests) == 2
    # a job that fails holds back the heartbeat of all jobs
    night.sql("insert into autosync.job (name, sql, schedule) values ('nightly', 'select 1', %s)", NEVER)
    night.sql("select autosync.sync_job('nightly')")
    night.sql(
        "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
        " select jobid, 1000000, 'failed', now(), now() from cron.job where jobname = 'nightly'"
    )
    night.tick()
    night.keep_house()
    assert len(beat.requests) == 2


FORMS = {
    "healthchecks": ("/d1665499", "/d1665499"),
    "betterstack": ("/api/v1/heartbeat/x", "/api/v1/heartbeat/x"),
    "cronitor": ("/p/key/job", "/p/key/job?state=complete"),
    "sentry": ("/api/1/cron/slug/key/?environment=e", "/api/1/cron/slug/key/?environment=e&status=ok"),
    "get": ("/any?a=1", "/any?a=1"),
}


def test_each_form_of_a_heartbeat_is_called_as_it_wants(unsent: Chain) -> None:
    _heartbeat_without_worker(unsent)
    for form, (path, called) in FORMS.items():
        unsent.connection.execute("delete from net.http_request_queue")
        unsent.connection.execute("delete from autosync.alert")
        unsent.connection.execute("update autosync.alert_receiver set form = %s, reported_at = null", [form])
        unsent.connection.execute(
            "update public.pg_cron_secrets set secret = %s where name = 'alert_heartbeat'",
            [f"http://far.example{path}"],
        )
        unsent.value("select autosync.raise_alerts()")
        rows = unsent.connection.execute("select lower(method), url, headers from net.http_request_queue").fetchall()
        assert rows == [("get", f"http://far.example{called}", {})], form


def test_a_heartbeat_is_repeated_only_while_it_is_true(night: Night, stub: Stub) -> None:
    beat = night.add("heartbeat", "get")
    beat.answer(500)
    night.tick()
    night.keep_house()
    night.later(2)
    assert len(beat.requests) == 2
    # the success is old by now
    night.sql("update autosync.alert set success_at = success_at - interval '11 minutes'")
    night.later(2)
    assert len(beat.requests) == 2
    assert night.outcomes() == ["dropped"]
    stub.answer(500)
    night.tick()
    night.later(2)
    assert len(beat.requests) == 2
    stub.answer()
    night.tick()
    beat.answer()
    night.keep_house()
    assert len(beat.requests) == 3


def test_a_heartbeat_that_pg_net_did_not_send_in_time_is_taken_back(unsent: Chain) -> None:
    _heartbeat_without_worker(unsent)
    unsent.value("select autosync.raise_alerts()")
    assert [url for url, *_ in unsent.queued()] == ["http://far.example/beat"]
    unsent.connection.execute("update autosync.alert set success_at = success_at - interval '11 minutes'")
    unsent.value("select autosync.raise_alerts()")
    assert unsent.queued() == []
    assert unsent.value("select outcome from autosync.alert") == "dropped"


def test_a_copy_of_another_project_says_nothing(unsent: Chain) -> None:
    _heartbeat_without_worker(unsent)
    unsent.connection.execute(
        "insert into autosync.setting (name, value) values ('binding', jsonb_build_object('project_ref', 'x'))"
    )
    unsent.connection.execute(
        "update public.pg_cron_secrets set secret = %s where name = 'project_url'",
        [f"https://{keys.PROJECT_REF}.supabase.co"],
    )
    assert unsent.value("select autosync.raise_alerts()") == 0
    assert unsent.queued() == []


def _heartbeat_without_worker(chain: Chain) -> None:
    """Let the job have succeeded just now, and a heartbeat be set; nothing sends."""
    chain.store("http://project.internal", keys.legacy())
    for statement in (
        f"update autosync.job set schedule = '{NEVER}'",
        f"select autosync.sync_job('{JOB}')",
        "insert into public.pg_cron_secrets (name, secret) values ('alert_heartbeat', 'http://far.example/beat')",
        "insert into autosync.alert_receiver (kind, form, secret_name) values ('heartbeat', 'get', 'alert_heartbeat')",
        "insert into autosync.invocation (job_id, request_id, timeout_milliseconds, outcome, proof, settled_at)"
        f" select id, 1, 1000, 'ok', 'stated', clock_timestamp() from autosync.job where name = '{JOB}'",
    ):
        chain.connection.execute(statement.encode())


@pytest.mark.long
def test_nothing_of_it_stops_housekeeping_or_a_tick(night: Night, served: Cluster) -> None:
    night.add("webhook")
    tick = night.chain.dispatch(force=True)
    with psycopg.connect(served.url().reveal()) as other:
        other.execute("lock table autosync.alert, autosync.alert_state in access exclusive mode")
        clusters.wait_for(
            lambda: (
                bool(night.rows("select from net._http_response"))
                and "settled" in night.chain.value("select autosync.keep_house()")
                and night.chain.requests(tick)[0].is_settled
            ),
            "a tick that is settled",
        )
        assert night.chain.dispatch(force=True) > tick
    assert "could not" in night.chain.value("select value from autosync.setting where name = 'alerts_error'")
    night.keep_house()
    assert not night.rows("select from autosync.setting where name = 'alerts_error'")


def test_messages_are_no_calls_of_a_job_and_no_table_has_the_address(night: Night, stub: Stub) -> None:
    webhook, slack, beat = night.add("webhook"), night.add("slack"), night.add("heartbeat", "get")
    webhook.answer(500, "secret-of-the-address")
    night.tick()
    night.keep_house()
    stub.answer(500)
    night.tick(2)
    night.keep_house()
    assert all(receiver.requests for receiver in (webhook, slack, beat))
    assert night.rows("select count(*) from autosync.invocation") == [(3,)]
    # what the receiver answered is no answer to somebody's job
    query = resources.read("sql/checks/other_answers_good.sql")
    assert night.rows(query) == []
    for table in ("alert", "alert_state", "alert_receiver", "setting", "secret_change", "invocation", "tick"):
        for (text,) in night.rows(f"select t::text from autosync.{table} as t"):
            assert "secret-of-the-address" not in text, table


SCHEDULES = (
    "* * * * *", "*/5 * * * *", "7-59/20 * * * *", "0 6 * * *", "30 2,14 * * 1-5", "0 0 1 * *", "15 3 13 * 5",
    "0 12 * jan-mar,dec sun", "5 4 * * 7", "0 0 31 * *", "0 22 * * 1,3,sat", "@hourly", "@weekly", "0 9 1-7 * *",
    "*/10 8-18 * * mon-fri", "0 0 29 2 *",
)  # fmt: skip


def test_a_tick_is_expected_when_pg_cron_would_start_it(transaction: psycopg.Connection[Any]) -> None:
    for schedule in SCHEDULES:
        for moment in (datetime(2026, 11, 28, 3, 7, 11, tzinfo=UTC), datetime(2027, 3, 1, 0, 0, tzinfo=UTC)):
            row = transaction.execute("select autosync.tick_expected(%s, %s)", [schedule, moment]).fetchone()
            assert row is not None
            if schedule == "0 0 29 2 *":
                assert row[0] is None  # longer ago than is looked back
                continue
            # the next tick after the moment before it is the tick itself, and no other lies between it and the moment
            first, second = cron.ticks_after(schedule, row[0] - timedelta(seconds=1))
            assert first == row[0] <= moment < second, schedule
    for unknown in ("", "61 * * * *", "* * * *", "5/10 * * * *", "*/0 * * * *", "@reboot", "x * * * *", "9-3 * * * *"):
        row = transaction.execute("select autosync.tick_expected(%s, now())", [unknown]).fetchone()
        assert row == (None,), unknown


def test_only_another_housekeeping_keeps_it_from_its_work(night: Night, served: Cluster) -> None:
    """An advisory lock, which every role may hold, would silence the alerts."""
    webhook = night.add("webhook")
    night.sql("select cron.alter_job(jobid, active := false) from cron.job where jobname = %s", JOB)
    with clusters.connect(served) as other:
        for name in ("autosync.keep_house", "autosync.raise_alerts"):
            other.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [name])
        night.keep_house()
    assert events(webhook) == ["fault"]
    with clusters.connect(served) as other, other.transaction():
        assert other.execute("select autosync.keep_house() ? 'skipped'").fetchone() == (False,)
        assert night.rows("select autosync.keep_house() ? 'skipped', autosync.raise_alerts()") == [(True, 0)]
    assert night.rows("select autosync.keep_house() ? 'skipped'") == [(False,)]


def test_of_a_job_that_is_paused_meanwhile_no_fault_is_said(night: Night, served: Cluster) -> None:
    """Which jobs tick is one look, and how each is another: it was inactive, and nobody had paused it."""
    night.add("webhook")
    line = "        select s.* into kept from autosync.alert_state as s where s.job_id = job.id for no key update;\n"
    place = ("note_job_states()", line, line + f"perform {HOLDS_UP};\n")
    look = "select a.body ->> 'root_cause' from autosync.alert as a"
    with held_up(served, place, "select autosync.note_job_states()", look) as said:
        registry.pause(night.chain.connection, "auto-sync-cron-job")
    assert said == []


def test_where_nobody_is_to_be_notified_it_costs_next_to_nothing(transaction: psycopg.Connection[Any]) -> None:
    transaction.execute("select autosync.raise_alerts()")  # which loads its plan
    row = transaction.execute(
        "explain (analyze, buffers, format json) select autosync.raise_alerts()", prepare=False
    ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= 5
    assert transaction.execute("select from autosync.alert_state").fetchone() is None


def test_a_rollback_takes_receivers_and_their_addresses_away(migrated: Cluster) -> None:
    with clusters.connect(migrated) as owner:
        owner.execute(
            "insert into public.pg_cron_secrets (name, secret) values ('alert_webhook', 'https://far.example/x')"
        )
        owner.execute(
            "insert into autosync.alert_receiver (kind, form, secret_name)"
            " values ('webhook', 'webhook', 'alert_webhook')"
        )
        command.succeeds(command.run("rollback", "0007", "--yes", database=migrated.url()))
        query = "select to_regclass('autosync.alert'), to_regproc('autosync.raise_alerts'), count(*)"
        assert owner.execute(f"{query} from public.pg_cron_secrets where name ~ '^alert'".encode()).fetchone() == (
            None, None, 0,
        )  # fmt: skip
        (done,) = owner.execute("select autosync.keep_house()").fetchone() or ({},)
        assert "errors" not in done, done
        command.succeeds(command.run("migrate", database=migrated.url()))
        assert owner.execute("select autosync.raise_alerts()").fetchone() == (0,)


def test_a_run_that_somebody_deleted_is_not_missed(transaction: psycopg.Connection[Any]) -> None:
    """What was purged from pg_cron's history is no sign of anything; what it still has shows what did not run."""
    # the server of a test was started a moment ago
    [(text,)] = transaction.execute(
        "select pg_get_functiondef('autosync.job_condition(text)'::regprocedure)"
    ).fetchall()
    for start in ("pg_postmaster_start_time()", "autosync.server_epoch()"):
        assert start in text
        text = text.replace(start, "timestamptz '2026-01-01'")
    transaction.execute(text)
    transaction.execute(
        "insert into autosync.job (name, sql, schedule, created_at, updated_at)"
        " values ('nightly', 'select 1', %s, '2026-01-01', '2026-01-01')",
        [NEVER],
    )
    transaction.execute("select autosync.sync_job('nightly')")
    transaction.execute("update autosync.job set updated_at = '2026-01-01' where name = 'nightly'")
    hourly = f"{(time.gmtime().tm_min + 30) % 60} * * * *"
    transaction.execute(
        "select cron.alter_job(c.jobid, schedule := %s) from cron.job as c where c.jobname = 'nightly'", [hourly]
    )
    for first, state in (("10 minutes", None), ("5 hours", "ticks_missed")):
        transaction.execute("delete from cron.job_run_details")
        transaction.execute(
            "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
            " select 4711, m.id, 'succeeded', m.moment, m.moment"
            " from (values (1000001, now() - %s::interval), (1000002, now())) as m (id, moment)",
            [first],
        )
        assert transaction.execute("select c.state from autosync.job_condition('nightly') as c").fetchone() == (state,)


@pytest.mark.parametrize(
    ("columns", "fix"),
    [
        ("function = 'f'", "autosync-db rotate --from-file PATH"),
        ("function = 'f', auth = 'none'", "autosync-db verify --job other"),
        ("function = 'f', auth = 'secret', secret_name = 'tok', secret_header = 'x'", "autosync-db secrets set tok"),
        (
            "url = 'https://api.example.com', auth = 'secret', secret_name = 'tok', secret_header = 'x'",
            "secrets set tok",
        ),
        ("url = 'https://api.example.com', auth = 'none'", "autosync-db runs --job other"),
    ],
)
def test_a_message_on_a_refusal_names_the_credential_that_the_job_sends(
    columns: str, fix: str, transaction: psycopg.Connection[Any]
) -> None:
    transaction.execute("insert into autosync.job (name, sql, schedule) values ('other', 'select 1', %s)", [NEVER])
    transaction.execute(f"update autosync.job set sql = null, {columns} where name = 'other'".encode())
    [(facts,)] = transaction.execute("select autosync.failure_facts('other', 'key', 2, '{}')").fetchall()
    assert fix in facts["fix"]
