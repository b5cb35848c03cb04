"""How every shipped function takes a call of its job: a plain function on plain Deno, with a stub as its work."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from autosync_db import scaffold
from tests.support import clusters, http_stub
from tests.support.edge import Keys, deno_binary
from tests.support.http_stub import Request, Stub

# what a user puts in the place of the template's work: it asks the stub, and waits for its answer
WORK = """
async function work(call: Call): Promise<Result> {
  const answer = await fetch(`${Deno.env.get("SUPABASE_URL")}/work`);
  if (!answer.ok) {
    await answer.body?.cancel();
    throw new Error("no stock for ops@example.com");
  }
  const { partial } = await answer.json();
  return { counts: { sent: 3, limit: call.timeLimit ?? 0 }, partial };
}
"""


@dataclass(frozen=True)
class Function:
    """A running function, and the stub that is its work and its Data API."""

    url: str
    key: str
    stub: Stub
    log: list[str]

    def call(self, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self.url, headers={"apikey": self.key} | named, json={}, timeout=30, trust_env=False)

    def report_to(self, key: uuid.UUID) -> Any:
        """Return the newest report of a call once there is one."""
        return clusters.wait_for(lambda: self.reports(key), "a report")[-1]

    def reports(self, key: uuid.UUID) -> list[dict[str, Any]]:
        sent = [json.loads(one.body) for one in self.stub.requests if one.path == "/rest/v1/rpc/auto_sync_report"]
        return [one for one in sent if one["idempotency_key"] == str(key)]

    def times_worked(self) -> int:
        return len([one for one in self.stub.requests if one.path == "/work"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Iterator[Function]:
    folder = tmp_path_factory.mktemp("plain") / "functions"
    scaffold.write_plain_function(folder, "daily-report")
    index = folder / "daily-report" / "index.ts"
    source = index.read_text()
    before, mark, after = source.partition("// deno-lint-ignore require-await\n")
    assert mark, "the place for the work"
    index.write_text(before + WORK + after[after.index("serveJob(") :])
    subprocess.run([deno_binary(), "check", "--quiet", str(index)], check=True)
    with http_stub.serve() as stub:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "SUPABASE_URL": stub.url,
            "SUPABASE_SERVICE_ROLE_KEY": keys.secret_key,
            "DENO_SERVE_ADDRESS": "tcp:127.0.0.1:0",
            "NO_COLOR": "1",
        }
        command = [deno_binary(), "run", "--no-lock", "--allow-net", "--allow-env", str(index)]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        log: list[str] = []
        reader = threading.Thread(target=log.extend, args=(iter(process.stdout.readline, ""),), daemon=True)
        reader.start()
        try:
            line = clusters.wait_for(lambda: [one for one in log if "Listening on" in one], "the function listens")[0]
            yield Function(line.split()[-1].rstrip("/").replace("0.0.0.0", "127.0.0.1"), keys.secret_key, stub, log)
        finally:
            process.terminate()
            process.wait(timeout=20)
            reader.join()
            process.stdout.close()


@pytest.fixture
def function(served: Function) -> Function:
    """The function with a stub that lets every work succeed and takes every report."""
    served.stub.requests.clear()
    served.stub.answer(200)
    served.stub.judge = None
    served.stub.release.clear()
    return served


def test_a_plain_function_answers_ok_with_duration_and_counts(function: Function) -> None:
    answer = function.call(x_autosync_timeout_ms="30000")
    assert answer.status_code == 200
    body = answer.json()
    assert isinstance(body.pop("duration_ms"), int)
    assert body == {"ok": True, "counts": {"sent": 3, "limit": 30000}}


def test_work_that_throws_is_a_500_that_says_why_and_names_nobody(function: Function) -> None:
    function.stub.answer(503)
    answer = function.call()
    assert answer.status_code == 500
    body = answer.json()
    assert isinstance(body.pop("duration_ms"), int)
    assert body == {"ok": False, "counts": {}, "error": "no stock for ***"}


def test_who_shows_no_key_runs_nothing(function: Function) -> None:
    for headers in ({"apikey": ""}, {"apikey": "sb_secret_another"}, {"authorization": "Bearer x", "apikey": "x"}):
        answer = function.call(**headers, x_autosync_report="1", idempotency_key=str(uuid.uuid4()))
        assert (answer.status_code, answer.json()) == (401, {"ok": False, "error": "unauthorized"})
    assert httpx.get(function.url, headers={"apikey": function.key}, trust_env=False).status_code == 405
    assert function.stub.requests == []


def test_an_acknowledged_call_is_answered_at_once_and_reported_at_its_end(function: Function) -> None:
    # the work ends when the test says so
    function.stub.answer(200, {"partial": True}, delay_seconds=60)
    key = uuid.uuid4()
    answer = function.call(x_autosync_report="1", idempotency_key=str(key), x_autosync_timeout_ms="900000")
    assert (answer.status_code, answer.json()) == (202, {"ok": True, "accepted": True})
    clusters.wait_for(lambda: function.times_worked() == 1, "the work has begun")
    assert function.reports(key) == []
    function.stub.release.set()
    report = function.report_to(key)
    assert isinstance(report["summary"].pop("duration_ms"), int)
    assert report == {
        "idempotency_key": str(key),
        "status": "partial",
        "summary": {"counts": {"sent": 3, "limit": 900000}},
    }


def test_a_failure_is_reported_with_its_reason(function: Function) -> None:
    function.stub.judge = lambda request: 503 if request.path == "/work" else 200
    key = uuid.uuid4()
    assert function.call(x_autosync_report="1", idempotency_key=str(key)).status_code == 202
    report = function.report_to(key)
    assert (report["status"], report["summary"]["error"]) == ("failed", "no stock for ***")


def test_a_report_is_sent_again_while_it_may_pass_and_not_when_it_is_refused(function: Function) -> None:
    def judge(request: Request) -> int:
        return 200 if request.path == "/work" or len(function.reports(key)) > 2 else 503

    key = uuid.uuid4()
    function.stub.judge = judge
    function.call(x_autosync_report="1", idempotency_key=str(key))
    clusters.wait_for(lambda: len(function.reports(key)) == 3, "the third attempt")
    key = uuid.uuid4()
    function.stub.judge = lambda request: 200 if request.path == "/work" else 404
    function.call(x_autosync_report="1", idempotency_key=str(key))
    clusters.wait_for(lambda: [one for one in function.log if "the report was not taken" in one], "it is logged")
    assert len(function.reports(key)) == 1


def test_a_report_is_wanted_with_a_key_only(function: Function) -> None:
    for headers in ({}, {"idempotency_key": "7"}):
        answer = function.call(x_autosync_report="1", **headers)
        assert (answer.status_code, answer.json()["ok"]) == (400, False)
    assert function.stub.requests == []


def test_the_same_call_twice_is_worked_once(function: Function) -> None:
    """libcurl repeats a POST whose connection was closed without an answer; the first may be under way, or done."""
    function.stub.answer(200, delay_seconds=60)
    key = str(uuid.uuid4())
    answers: list[dict[str, Any]] = []
    callers = [
        threading.Thread(target=lambda: answers.append(function.call(idempotency_key=key).json())) for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    clusters.wait_for(lambda: function.times_worked() == 1, "the work has begun")
    function.stub.release.set()
    for caller in callers:
        caller.join()
    answers.append(function.call(idempotency_key=key.upper()).json())
    assert answers == [answers[0]] * 3
    assert answers[0]["ok"] is True
    assert function.times_worked() == 1
    # another call, and one that failed, are worked again
    function.call(idempotency_key=str(uuid.uuid4()))
    assert function.times_worked() == 2
    function.stub.status = 503
    another = str(uuid.uuid4())
    assert function.call(idempotency_key=another).status_code == 500
    function.stub.status = 200
    assert function.call(idempotency_key=another).status_code == 200


def test_an_acknowledged_call_that_comes_twice_is_worked_once_and_reported_again(function: Function) -> None:
    function.stub.answer(200, delay_seconds=60)
    key = uuid.uuid4()
    for _ in range(2):
        assert function.call(x_autosync_report="1", idempotency_key=str(key)).status_code == 202
    function.stub.release.set()
    function.report_to(key)
    assert len(function.reports(key)) == 1
    # the database repeats a call whose 202 it did not get: it waits for a report to this one
    assert function.call(x_autosync_report="1", idempotency_key=str(key)).status_code == 202
    clusters.wait_for(lambda: len(function.reports(key)) == 2, "the second report")
    assert function.times_worked() == 1
