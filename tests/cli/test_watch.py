"""`watch` on a real server: calls settle, a job is fired, the server goes and comes back; as a screen and as lines."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir
from datetime import timedelta

import pexpect
import psycopg
import pytest

from autosync_db.cli import watch
from autosync_db.errors import UnreachableError
from autosync_db.health import watching
from autosync_db.health.picture import Look, Message
from autosync_db.health.watching import Watcher
from autosync_db.local.cluster import Cluster
from autosync_db.report.watch.app import WatchApp
from tests.support import clusters, command, health, http_stub, watched
from tests.support.health import NEVER, LiveProject

SETTINGS = {"AUTOSYNC_JOB__SCHEDULE": NEVER}
OFTEN = timedelta(milliseconds=100)


@pytest.fixture(scope="module")
def live(quiet_template: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProject]:
    """A healthy project on a server of its own."""
    with (
        chdir(tmp_path_factory.mktemp("watched")),
        clusters.cloned(quiet_template) as cluster,
        http_stub.serve() as stub,
        health.launcher_that_counts_as_settled(),
        health.healthy(cluster, stub) as made,
    ):
        yield made


def _in_thread(work: Callable[[], object]) -> "asyncio.Future[object]":
    return asyncio.get_running_loop().run_in_executor(None, work)


def test_a_call_appears_is_opened_and_fired_and_a_restart_is_survived(
    live: LiveProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher(live.configuration, every=OFTEN)
    watcher.begin()
    app = WatchApp(watcher, "production", "100 ms")
    live.stub.answer(500, {"error": "[red]the table x is missing"})
    monkeypatch.setattr(watching, "_VERIFY_GAP", 0.2)

    async def used() -> None:
        async with app.run_test(size=(100, 30)) as pilot:
            await watched.until(pilot, app, "OK  verified")
            await _in_thread(live.run_by_cron)
            await watched.until(pilot, app, "failed: function  500 (the function: {")
            await pilot.press("enter")
            page = "\n".join(await watched.until(pilot, app, "idempotency key"))
            assert "[red]the table x is missing" in page
            assert f"of {live.job_name}, attempt 1" in page
            await pilot.press("escape")
            # what turned is looked into before its time
            await watched.until(pilot, app, "CRITICAL  verified", 30)
            live.stub.answer()
            await pilot.press("r")
            await watched.until(pilot, app, f"Fire {live.job_name} now?")
            await pilot.press("y")
            await watched.until(pilot, app, f"{live.job_name} fired: ok, 200")
            await watched.until(pilot, app, "ok                200")
            await _in_thread(live.stop_server)
            await watched.until(pilot, app, f"no answer from {watcher.place} since ")
            assert watched.lines(app)[0].startswith("NO ANSWER  as of ")
            assert "ok                200" in "\n".join(watched.lines(app))
            await pilot.press("enter")
            await watched.until(pilot, app, "cannot say: cannot use the database at")
            await pilot.press("escape")
            await _in_thread(live.start_server)
            await watched.until(pilot, app, "  verified ")
            await _in_thread(live.run_by_cron)
            await pilot.pause()
        assert app.trouble is None

    try:
        asyncio.run(used())
    finally:
        watcher.end()
        live.stub.answer()
    # a statement under way ends when the server notices
    sessions = "select count(*) = 0 from pg_stat_activity where application_name = 'autosync-db'"
    clusters.wait_for(lambda: live.value(sessions), "the end of all sessions")


def test_looks_are_read_only_hold_nothing_and_end_in_time(live: LiveProject) -> None:
    heard: list[Message] = []
    seen = threading.Event()
    watcher = Watcher(live.configuration, every=timedelta(milliseconds=500))

    def tell(message: Message) -> None:
        heard.append(message)
        if len([one for one in heard if isinstance(one, Look)]) > 1:
            seen.set()

    watcher.begin()
    watcher.start(tell)
    try:
        assert seen.wait(20)
        # between two looks there is neither a transaction nor a lock
        clusters.wait_for(
            lambda: live.value(
                "select count(*) = 1 and bool_and(a.state = 'idle') and not exists (select from pg_locks as l"
                " where l.pid = any(array_agg(a.pid))) from pg_stat_activity as a"
                " where a.application_name = 'autosync-db' and a.query not like '%pg_stat%'"
            ),
            "an idle session",
        )
    finally:
        watcher.end()
    with watcher._connected() as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), connection.transaction():
            connection.execute("delete from public.auto_sync_schedules")
        started = time.monotonic()
        with pytest.raises(UnreachableError, match="no answer within"), watcher._deadline(connection, 0.2):
            connection.execute("select pg_sleep(60)")
        assert time.monotonic() - started < 10


@pytest.mark.long
@pytest.mark.one_version
def test_lines_through_a_pipe_say_calls_outages_and_the_verdict_until_it_is_interrupted(live: LiveProject) -> None:
    child = subprocess.Popen(
        [*command.PROGRAM, "watch", "--format", "json", "--every", "500ms"],
        env=command.environment(live.cluster.url(), SETTINGS),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    events: list[dict[str, object]] = []
    assert child.stdout is not None

    def read(kind: str) -> dict[str, object]:
        assert child.stdout is not None
        for line in child.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == kind:
                return events[-1]
        raise AssertionError(f"no {kind} in {events}")

    with ExitStack() as stack:
        stack.callback(child.wait, 10)
        stack.callback(child.kill)
        assert read("verdict")["target"] == "default"
        live.run_by_cron()
        found = read("call")
        assert (found["word"], found["call"]["job"]) == ("ok", live.job_name)  # type: ignore[index]
        live.stop_server()
        assert "cannot use the database at" in str(read("lost")["message"])
        live.start_server()
        read("back")
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=20)
        assert (child.returncode, errors) == (0, "")
    assert [event["event"] for event in events].count("call") == 1


@pytest.mark.one_version
def test_it_ends_after_a_time_and_refuses_what_it_cannot_watch(live: LiveProject) -> None:
    def run(*arguments: str) -> command.Result:
        return command.run("watch", *arguments, database=live.cluster.url(), variables=SETTINGS)

    done = command.succeeds(run("--for", "500ms"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00 verdict \w+.*\n", done.out), done.out
    assert done.err == ""
    assert "did you mean" in command.refused(run("--job", "auto-sync-cron-jop"), 2)
    assert "too often" in command.refused(run("--every", "1ms"), 2)
    assert "--for" in command.refused(run("--for", "soon"), 2)
    live.create_role("nobody_in_particular")
    refused = command.run("watch", database=live.cluster.url("nobody_in_particular"))
    assert "refused access" in command.refused(refused, 4)
    assert "Connection refused" in command.refused(
        command.run("watch", variables={"AUTOSYNC_DATABASE_URL": "postgresql://postgres@127.0.0.1:1/postgres"}), 4
    )


@pytest.mark.one_version
def test_without_the_extra_a_terminal_gets_lines_and_the_command_that_installs_it(
    live: LiveProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_is_terminal", lambda session: True)
    monkeypatch.setitem(sys.modules, "textual", None)
    done = command.run("watch", "--for", "500ms", database=live.cluster.url(), variables=SETTINGS)
    assert "verdict" in command.succeeds(done).out
    assert "pip install 'autosync-db[watch]'" in done.err


@pytest.mark.one_version
@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, id="colour", marks=pytest.mark.long),
        pytest.param({"NO_COLOR": "1"}, id="no colour"),
    ],
)
def test_on_a_terminal_it_starts_resizes_and_quits(live: LiveProject, variables: dict[str, str]) -> None:
    environment = command.environment(live.cluster.url(), {**SETTINGS, "TERM": "xterm-256color", **variables})
    program, *arguments = [*command.PROGRAM, "watch"]
    with pexpect.spawn(
        program, arguments, env=environment, encoding="utf-8", timeout=60, dimensions=(24, 80)
    ) as terminal:
        terminal.expect_exact("\x1b[?1049h")
        terminal.expect_exact("schedules: ")
        shown = terminal.before or ""
        terminal.setwinsize(50, 200)
        # drawn for the new width: the clock at its end
        terminal.expect("\x1b\\[1;\\d+H|verified|verifying")
        terminal.expect_exact("schedules: ")
        shown += terminal.before or ""
        if variables:
            terminal.send("q")
        else:
            terminal.sendintr()
        # nothing of the last frame is left for a tmux whose pane was resized to mix into what was there before
        terminal.expect_exact("\x1b[2J\x1b[H")
        terminal.expect_exact("\x1b[?1049l")
        assert "schedules" not in (terminal.before or "")
        terminal.expect(pexpect.EOF)
    assert (terminal.exitstatus, terminal.signalstatus) == (0, None)
    assert "Traceback" not in shown
    assert bool(re.search(r"\x1b\[(?:[0-9;]*;)?(?:3|4|9|10)[0-9][;m]", shown)) is not bool(variables)
