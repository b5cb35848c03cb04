"""function_rejects_strangers: an open function is named, a closed one is proven, neither is claimed unasked."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest

from autosync_db import config
from autosync_db.credentials import store
from autosync_db.errors import AutosyncError, UsageError
from autosync_db.health import catalogue
from autosync_db.health.model import Status, Verdict
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, command, health, keys
from tests.support.health import LiveProject
from tests.support.http_stub import Stub
from tests.support.trial import Trial

ID = "function_rejects_strangers"


@dataclass
class Asked:
    """The check, to be asked about the stub's function."""

    stub: Stub
    look: Callable[[], Verdict]


@pytest.fixture
def asked(transaction: psycopg.Connection[clusters.Row], shared: Cluster, stub: Stub) -> Asked:
    """A database whose project URL is the stub's address."""
    store.store(transaction, {"project_url": Secret(stub.url), "service_role_key": keys.legacy()})
    configuration = config.load(config.Flags(database_url=shared.url()))
    check = catalogue.find(ID)
    assert check.look is not None
    look = check.look
    return Asked(stub, lambda: check.judge(look(transaction, configuration, "auto-sync-cron-job"), check.claim))


def test_open_function_is_the_root_cause_until_it_refuses_unauthenticated_callers(project: Trial) -> None:
    report = project.report(probe=True)
    assert health.roots(report) == {ID: Status.CRITICAL}
    [found] = report.root_causes
    assert "function auto-sync-cron: answered 200 to a call with no credential" in found.verdict.summary
    project.stub.answer(401)
    assert project.report([ID], probe=True).status is Status.OK


def test_without_leave_to_probe_the_function_is_not_called_and_nothing_is_claimed(live: LiveProject) -> None:
    live.stub.requests.clear()
    report = live.must_be_healthy()
    assert ID not in {result.id for result in report.results}
    with pytest.raises(UsageError, match="calls the function"):
        live.report([ID])
    assert command.run("verify", "--format", "json", database=live.cluster.url()).code == 0
    assert live.stub.requests == []
    result = command.run("verify", "--probe", "--format", "json", database=live.cluster.url())
    assert result.code == 3
    assert result.json()["root_causes"] == [ID]
    assert live.stub.requests


def test_what_is_accepted_once_is_not_called_again(asked: Asked) -> None:
    assert asked.look().status is Status.CRITICAL
    assert {request.method for request in asked.stub.requests} == {"GET"}


def test_a_function_that_refuses_a_get_is_asked_as_it_is_called(asked: Asked) -> None:
    asked.stub.answer(401)
    assert asked.look().status is Status.OK
    assert [request.method for request in asked.stub.requests] == ["GET", "POST"] * 4
    posted = {request.body.replace(b" ", b"") for request in asked.stub.requests if request.method == "POST"}
    assert posted == {b'{"probe":true}'}


def test_no_unauthenticated_call_holds_the_stored_key(
    asked: Asked, transaction: psycopg.Connection[clusters.Row]
) -> None:
    row = transaction.execute("select secret from public.pg_cron_secrets where name = 'service_role_key'").fetchone()
    assert row
    asked.stub.answer(401)
    asked.look()
    assert row[0] not in str(asked.stub.requests)


def test_refusals_of_the_gateway_alone_prove_nothing_about_the_function(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.stub.answer(401, {}, "UNAUTHORIZED_NO_AUTH_HEADER")
    verdict = asked.look()
    assert verdict.status is Status.UNKNOWN
    assert "shielded by the gateway" in verdict.summary

    monkeypatch.setenv("SUPABASE_ANON_KEY", keys.legacy("anon").reveal())
    assert asked.look().status is Status.OK


def test_the_projects_public_key_is_tried(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    asked.stub.answer(401)
    public = keys.legacy("anon").reveal()
    monkeypatch.setenv("SUPABASE_ANON_KEY", public)
    assert "the project's public key (401)" in asked.look().summary
    sent = [request.headers.get("authorization") for request in asked.stub.requests]
    assert sent.count(f"Bearer {public}") == 2


@pytest.mark.parametrize("key", [keys.secret(), keys.legacy(), Secret("no key")])
def test_what_is_no_public_key_is_never_sent(key: Secret, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_ANON_KEY", key.reveal())
    verdict = asked.look()
    assert (verdict.status, asked.stub.requests) == (Status.UNKNOWN, [])
    assert key.reveal() not in str(verdict)


@pytest.mark.parametrize("status", [404, 405, 500, 302])
def test_another_answer_says_nothing(status: int, asked: Asked) -> None:
    asked.stub.answer(status)
    verdict = asked.look()
    assert verdict.status is Status.UNKNOWN
    assert f"answered {status}" in verdict.summary


def test_an_address_that_does_not_answer_is_no_refusal(
    asked: Asked, transaction: psycopg.Connection[clusters.Row]
) -> None:
    store.store(transaction, {"project_url": Secret("http://127.0.0.1:9")})
    with pytest.raises(AutosyncError, match="cannot be reached from here"):
        asked.look()
