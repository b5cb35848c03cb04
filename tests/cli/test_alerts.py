"""`alerts set`, `list`, `test` and `delete`: addresses are secrets, and what a receiver says is shown."""

import json
from typing import Any

import pytest

from autosync_db.config import GUIDE_JOB
from tests.cli.conftest import Project
from tests.support import clusters, command
from tests.support.command import Result
from tests.support.http_stub import Stub

ADDRESS = "/services/T0/B0/part-that-nobody-may-see"


def _set(project: Project, kind: str, address: str, *more: str) -> Result:
    return project.run("alerts", "set", kind, "--from-file", "-", *more, stdin=address + "\n")


def _sql(project: Project, statement: str) -> None:
    with clusters.connect(project.cluster) as owner:
        owner.execute(statement.encode())


def _listed(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = command.succeeds(project.run("alerts", "list", "--format", "json")).json()
    return found


def test_a_receiver_is_set_tested_listed_and_deleted(new_project: Project, stub: Stub) -> None:
    project = new_project
    command.succeeds(project.setup())
    assert "no receiver is set" in project.run("alerts", "list").err
    said = [_set(project, "slack", stub.url + ADDRESS), project.run("alerts", "set", "webhook", "--from-env", "HOOK",
            "--job", GUIDE_JOB, variables={"HOOK": stub.url + ADDRESS})]  # fmt: skip
    said += [project.run("alerts", "list", *more) for more in ((), ("--format", "json"))]
    stub.requests.clear()
    stub.answer(200, "ok")
    tested = project.run("alerts", "test")
    command.succeeds(tested)
    assert tested.err.count("delivered, the receiver answered 200: ok") == 2
    assert [one.path for one in stub.requests] == [ADDRESS, ADDRESS]
    assert ["text" in json.loads(one.body) for one in stub.requests] == [True, False]
    stub.answer(404, f"no_service for {stub.url}{ADDRESS}")
    refused = project.run("alerts", "test", "slack")
    assert refused.code == 3
    assert "given up, the receiver answered 404: no_service" in refused.err
    stub.answer()
    assert {(one["kind"], one["job"], one["last_outcome"]) for one in _listed(project)} == {
        ("slack", None, "given_up"), ("webhook", GUIDE_JOB, "delivered"),
    }  # fmt: skip
    # behind one that was interrupted before it saw the answer
    _sql(project, "select autosync.test_alert(r.id) from autosync.alert_receiver as r where r.kind = 'slack'")
    command.succeeds(project.run("alerts", "test", "slack"))
    said += [tested, refused, project.run("secrets", "list"), project.run("secrets", "history"), project.run("verify")]
    said.append(project.run("alerts", "delete", "slack"))
    for result in said:
        assert "part-that-nobody-may-see" not in result.out + result.err
    assert "not used" not in next(line for line in said[-4].out.splitlines() if "alert_webhook" in line)
    command.refused(project.run("alerts", "delete", "slack"), 2)
    command.refused(project.run("secrets", "delete", "alert_webhook"), 2)
    command.refused(project.run("secrets", "set", "alert_slack", "--from-file", "-", stdin="x"), 2)
    assert [one["kind"] for one in _listed(project)] == ["webhook"]
    # a job that is gone leaves an address behind, which is named
    _sql(project, "update autosync.alert_receiver set job_id = 4711")
    assert "4711" not in project.run("alerts", "list").out
    command.succeeds(project.run("alerts", "delete", "webhook", "--removed"))
    assert _listed(project) == []


@pytest.mark.long
def test_a_heartbeat_is_tested_only_when_that_is_true(new_project: Project, stub: Stub) -> None:
    project = new_project
    command.succeeds(project.setup())
    command.succeeds(_set(project, "heartbeat", stub.url + "/beat"))
    _sql(project, "update autosync.invocation set proof = 'text', settled_at = coalesce(settled_at, now())")
    refused = project.run("alerts", "test", "heartbeat")
    command.refused(refused, 5)
    assert "autosync-db jobs trigger" in refused.hints[0]
    assert "proves nothing" in _set(project, "heartbeat", stub.url + "/beat").err
    command.succeeds(project.run("jobs", "trigger"))
    command.succeeds(project.run("alerts", "test", "heartbeat"))
    assert stub.requests[-1].path == "/beat"


@pytest.mark.parametrize(
    ("kind", "address", "says"),
    [
        ("slack", "no address", "not an address"),
        ("slack", "ftp://example.com/x", "not an address"),
        ("slack", "https://example.com/a b", "not an address"),
        ("slack", "https://[::1", "not an address"),
        ("webhook", "http://example.com/hook", "sent unencrypted"),
        ("webhook", "https://hooks.slack.com/services/T0/B0/x", "Slack accepts only its own format"),
        ("webhook", "https://hooks.slack-gov.com/services/T0/B0/x", "Slack accepts only its own format"),
        ("slack", "https://discord.com/api/webhooks/1/x", "/slack"),
        ("webhook", "https://discord.com/api/webhooks/1/x", "add /slack to the end"),
        ("heartbeat", "https://hc-ping.com/d1665499-e827-441f-bf13-8f15e8f4c0b9/fail", "other than success"),
        ("heartbeat", "https://hc-ping.com/d1665499-e827-441f-bf13-8f15e8f4c0b9/1", "other than success"),
        ("heartbeat", "https://uptime.betterstack.com/api/v1/heartbeat/x/fail", "other than success"),
        ("heartbeat", "https://checks.example.com/ping/d1665499-e827-441f-bf13-8f15e8f4c0b9/1", "other than success"),
        ("heartbeat", "https://monitor.example.com/jobs/nightly/start", "other than success"),
        ("heartbeat", "https://cronitor.link/p/key/job?state=fail", "has state already"),
        ("heartbeat", "https://o1.ingest.sentry.io/api/1/cron/job/key/?status=error", "has status already"),
        ("heartbeat", "", "not an address"),
    ],
)
def test_an_address_that_cannot_be_is_refused_unshown(project: Project, kind: str, address: str, says: str) -> None:
    result = _set(project, kind, address)
    command.refused(result, 6)
    assert says in result.err
    assert not address or address not in result.err


def test_no_address_is_taken_from_the_command_line_or_the_file(project: Project, tmp_path: Any) -> None:
    command.refused(project.run("alerts", "set", "slack"), 2)
    command.refused(project.run("alerts", "set", "webhook", "--job", "none", "--from-env", "HOOK",
                    variables={"HOOK": "https://example.com/x"}), 2)  # fmt: skip
    settings = tmp_path / "autosync.toml"
    for text, word in {
        'slack = "https://hooks.slack.com/services/T0/B0/abc"': "secret",
        'webhook = "https://example.com/hook"': "autosync-db alerts set webhook",
        'heartbeat = "https://hc-ping.com/x"': "autosync-db alerts set heartbeat",
        'url = "https://example.com/hook"': "autosync-db alerts set",
        "after = 0": "alerts.after",
        "afer = 3": "did you mean after",
    }.items():
        settings.write_text(f"[alerts]\n{text}\n")
        result = command.run("plan", "--config", str(settings), database=None)
        command.refused(result, 2)
        assert word in result.err, result.err
