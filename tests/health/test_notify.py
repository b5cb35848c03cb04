"""`verify --notify`: what changed is said once, also from two runs at once and while the database cannot be reached."""

import errno
import fcntl
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autosync_db.health import notify
from autosync_db.health.model import Report
from autosync_db.local.cluster import free_port
from autosync_db.secret import Secret
from tests.support import clusters, command, http_stub, keys
from tests.support.health import LiveProject


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "_PAUSE_SECONDS", 0.01)


def _verify(project: LiveProject, url: str, *more: str, database: Secret | None = None) -> command.Result:
    return command.run(
        "verify", "--notify", "--only", "secrets_present", "--only", "function_succeeds", *more,
        database=database or project.cluster.url(),
        variables={"AUTOSYNC_ALERT_URL": url, "XDG_STATE_HOME": str(Path.cwd())},
    )  # fmt: skip


def test_each_state_is_said_once_and_no_body_with_it(live: LiveProject) -> None:
    with http_stub.serve() as webhook:
        url = webhook.url + "/in?token=part-that-nobody-may-see"
        assert "nothing changed" in _verify(live, url).err
        live.stub.answer(500, {"error": "the words of the answer"})
        live.tick()
        webhook.answer(503)
        assert "no message was sent: the receiver answered 503" in _verify(live, url).err
        assert len(webhook.requests) == notify.TRIES
        webhook.answer()
        webhook.requests.clear()
        said = [_verify(live, url) for _ in range(2)]
        assert [one.code for one in said] == [3, 3]
        (fault,) = [json.loads(one.body) for one in webhook.requests]
        assert (fault["event"], fault["root_causes"][0]["check"]) == ("fault", "function_succeeds")
        assert "the words" not in str(fault)
        # other checks have a state of their own
        assert "nothing changed" in _verify(live, url, "--skip", "function_succeeds").err
        live.stub.answer()
        live.tick()
        said += [_verify(live, url) for _ in range(2)]
        assert [json.loads(one.body)["event"] for one in webhook.requests] == ["fault", "recovered"]
        assert "part-that-nobody" not in "".join(one.out + one.err for one in said)
        (kept,) = live.owner.execute("select value::text from autosync.setting where name = 'notified'").fetchone() or (
            "",
        )
        assert "part-that-nobody" not in kept


def test_a_database_that_ends_the_session_meanwhile_takes_nothing_from_the_verdict(live: LiveProject) -> None:
    """It is said once all the same, and nobody hears that the database is away."""
    live.store(service_role_key=" ")
    with http_stub.serve() as webhook:

        def judge(request: http_stub.Request) -> int:
            others = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'autosync-db'"
            with clusters.connect(live.cluster, "supabase_admin") as admin:
                admin.execute(others.encode())
            return 200

        webhook.judge = judge
        said = [_verify(live, webhook.url) for _ in range(2)]
        webhook.judge = None
        said.append(_verify(live, webhook.url))
        assert [one.code for one in said] == [3, 3, 3]
        assert all("secrets_present" in one.out for one in said)
        (fault,) = [json.loads(one.body) for one in webhook.requests]
        assert [one["check"] for one in fault["root_causes"]] == ["secrets_present"]


def test_a_receiver_that_takes_longer_than_the_role_may_wait_hears_it_once(live: LiveProject) -> None:
    live.store(service_role_key=" ")
    live.admin.execute("alter role postgres set idle_in_transaction_session_timeout = '100ms'")
    try:
        with http_stub.serve() as webhook:
            webhook.delay_seconds = 0.5
            assert [_verify(live, webhook.url).code for _ in range(2)] == [3, 3]
            assert len(webhook.requests) == 1
    finally:
        live.admin.execute("alter role postgres reset idle_in_transaction_session_timeout")


def test_slacks_form_calls_nobody(live: LiveProject) -> None:
    with http_stub.serve() as slack:
        live.store(service_role_key=" ")
        _verify(live, slack.url + "/slack")
        (message,) = [json.loads(one.body)["text"] for one in slack.requests]
        assert "secrets_present" in message
        assert "fix: `autosync-db repair secrets_present" in message


@pytest.mark.long
def test_a_database_that_is_away_is_said_once_and_so_is_its_return(live: LiveProject) -> None:
    away = Secret(f"postgresql://postgres:x@127.0.0.1:{free_port()}/postgres")
    with http_stub.serve() as webhook:
        for _ in range(2):
            assert _verify(live, webhook.url, database=away).code == 4
        for _ in range(2):
            assert _verify(live, webhook.url).code == 0
        assert [json.loads(one.body)["event"] for one in webhook.requests] == ["fault", "recovered"]


def test_of_runs_at_once_one_speaks(live: LiveProject, tmp_path: Path) -> None:
    live.store(service_role_key=" ")
    report: Report = live.report(["secrets_present"])
    live.owner.execute("delete from autosync.setting where name = 'notified'")
    with http_stub.serve() as webhook:
        webhook.delay_seconds = 0.3

        def run() -> str:
            with clusters.connect(live.cluster) as connection:
                return notify.tell(connection, report, Secret(webhook.url), (), tmp_path, strict=False).outcome

        with ThreadPoolExecutor(3) as pool:
            outcomes = [one.result() for one in [pool.submit(run) for _ in range(3)]]
        assert sorted(outcomes) == ["sent", "unchanged", "unchanged"]
        assert len(webhook.requests) == 1


def test_a_proxy_that_cannot_be_used_takes_nothing_from_the_verdict(live: LiveProject) -> None:
    live.store(service_role_key=" ")
    for proxy in ("socks5://127.0.0.1:1", "none://127.0.0.1:1"):
        result = command.run(
            "verify", "--notify", "--only", "secrets_present", database=live.cluster.url(),
            variables={"AUTOSYNC_ALERT_URL": "https://example.invalid/x", "ALL_PROXY": proxy},
        )  # fmt: skip
        assert result.code == 3
        assert "secrets_present" in result.out
        assert "no message was sent: the proxy of HTTPS_PROXY" in result.err


@dataclass
class Meanwhile:
    """What runs without a database said: the `first` one, and `others` that began while its message was on its way."""

    tell: Callable[[str], str]
    first: str
    others: list[str]


@pytest.fixture
def meanwhile(live: LiveProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Meanwhile]:
    """A run of the checks `a`, and while its receiver takes its time, one of `a` and one of `b`."""
    live.store(service_role_key=" ")
    report: Report = live.report(["secrets_present"])
    waiting: set[int] = set()
    flock = fcntl.flock

    def noting(*arguments: Any) -> None:
        try:
            flock(*arguments)
        except BlockingIOError:
            waiting.add(threading.get_ident())
            raise

    monkeypatch.setattr(fcntl, "flock", noting)
    with http_stub.serve() as webhook, ThreadPoolExecutor(2) as pool:
        others: list[Future[str]] = []

        def tell(selection: str) -> str:
            return notify.tell(None, report, Secret(webhook.url), (selection,), tmp_path, strict=False).outcome

        def judge(request: http_stub.Request) -> int:
            if not others:
                others.extend(pool.submit(tell, selection) for selection in "ab")
                clusters.wait_for(lambda: len(waiting) + sum(one.done() for one in others) == 2, "the other runs")
            return 200

        webhook.judge = judge
        yield Meanwhile(tell, tell("a"), [one.result() for one in others])


def test_of_runs_at_once_without_a_database_one_speaks(meanwhile: Meanwhile) -> None:
    assert (meanwhile.first, meanwhile.others) == ("sent", ["unchanged", "sent"])


def test_what_one_run_said_without_a_database_another_does_not_forget(meanwhile: Meanwhile) -> None:
    assert [meanwhile.tell(selection) for selection in "ab"] == ["unchanged", "unchanged"]


def test_where_no_file_can_be_locked_it_is_said_all_the_same(
    live: LiveProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lockless(*arguments: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    live.store(service_role_key=" ")
    report = live.report(["secrets_present"])
    (tmp_path / "a file").touch()
    with http_stub.serve() as webhook:

        def tell(folder: str) -> notify.Notice:
            return notify.tell(None, report, Secret(webhook.url), (), tmp_path / folder, strict=False)

        assert "will be said again" in tell("a file").reason
        with monkeypatch.context() as patch:
            patch.setattr(fcntl, "flock", lockless)
            assert [tell("without locks").outcome for _ in range(2)] == ["sent", "unchanged"]
            patch.setattr(notify, "fcntl", None)
            assert [tell("without fcntl").outcome for _ in range(2)] == ["sent", "unchanged"]


@pytest.mark.long
def test_nobody_to_tell_is_refused_before_anything(live: LiveProject) -> None:
    command.refused(command.run("verify", "--notify", database=live.cluster.url()), 2)
    # the database, which is away, was not asked
    away = Secret(f"postgresql://postgres:x@127.0.0.1:{free_port()}/postgres")
    for address in (keys.secret().reveal(), "https://[::1", "https://discord.com/api/webhooks/1/x"):
        command.refused(_verify(live, address, database=away), 6)
