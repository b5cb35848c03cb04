"""A rotation that is killed between any two statements leaves an active key that works, and a way to go on."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext

import pytest

from autosync_db import config
from autosync_db.credentials import rotation, store
from autosync_db.secret import Secret
from tests.credentials.conftest import SILENT, Project
from tests.support import clusters, cutting_proxy, keys
from tests.support.cutting_proxy import Proxy

MOST_POINTS = 200


@pytest.fixture(scope="module")
def children() -> ForkServerContext:
    """Where processes begin with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.credentials.test_crash_points", rotation.__name__, "httpx", "jwt"])
    return context


@pytest.fixture
def proxy(project: Project) -> Iterator[Proxy]:
    """A relay before the project's database."""
    with cutting_proxy.relay(project.cluster) as running:
        yield running


def _rotate(url: str, key: str) -> None:
    """What the child does: one `rotate` through the relay."""
    configuration = config.load(config.Flags(database_url=Secret(url)))
    rotation.replace(configuration, rotation.SERVICE_KEY, Secret(key), reporter=SILENT)


def _killed_after(statements: int, proxy: Proxy, key: Secret, children: ForkServerContext) -> bool:
    """Rotate in a child, kill it when the server was ready for more so many times; return whether it came to that."""
    child = children.Process(target=_rotate, args=(proxy.url().reveal(), key.reveal()))
    proxy.arm(None)

    def kill() -> None:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)

    proxy.arm(statements, kill)
    child.start()
    child.join(60)
    assert child.exitcode in {0, -signal.SIGKILL}, f"after {statements} statements: exit {child.exitcode}"
    assert proxy.was_cut == (child.exitcode == -signal.SIGKILL)
    return proxy.was_cut


@pytest.mark.parametrize(
    ("every", "at_least"),
    [
        pytest.param(9, {"old active": 1, "new active, unproven": 1}, id="every ninth"),
        pytest.param(1, {"old active": 6, "new active, unproven": 4}, id="all", marks=pytest.mark.long),
    ],
)
def test_killed_between_any_two_statements(
    every: int, at_least: dict[str, int], project: Project, proxy: Proxy, children: ForkServerContext
) -> None:
    states = dict.fromkeys(("old active", "new active, unproven", "new active, proven"), 0)
    older = project.key
    for point in range((every + 1) // 2, MOST_POINTS, every):
        newer = keys.secret()
        project.gate.accept(older, newer)
        project.gate.seen.clear()
        was_killed = _killed_after(point, proxy, newer, children)
        clusters.wait_for(
            lambda: project.value("select count(*) from pg_stat_activity where application_name = 'autosync-db'") == 0,
            "the end of the killed session",
        )
        was_proven = newer.reveal() in project.gate.seen

        # the next tick makes a call that is let in
        found = project.active()
        assert found in (older, newer), f"point {point}: neither the old nor the new key is active"
        unfinished = not project.is_finished()
        if found == newer:
            assert unfinished or was_proven, f"point {point}: an unproven key is active and nothing says so"
        states["old active" if found == older else f"new active, {'unproven' if unfinished else 'proven'}"] += 1
        if unfinished:
            assert found == newer
            project.lapse()
            status, summary = project.verdict()
            assert (status, "never proven" in summary) == ("warning", True), f"point {point}: {status} {summary}"

        # the same command again ends it
        rotation.replace(project.configuration, rotation.SERVICE_KEY, newer, reporter=SILENT)
        assert project.stored() == newer.reveal(), f"point {point}"
        assert project.is_finished(), f"point {point}"
        older = newer
        if not was_killed:
            break
    else:
        pytest.fail("the child never came to its end")
    assert point > 15
    assert all(states[state] >= count for state, count in at_least.items()), states


def test_killed_rotation_is_ended_by_resume_or_abort(
    project: Project, proxy: Proxy, children: ForkServerContext
) -> None:
    newer = keys.secret()
    project.gate.accept(project.key, newer)
    first = 8
    for end in ("abort", "resume"):
        # the first statement after which something is unfinished
        for point in range(first, MOST_POINTS):
            assert _killed_after(point, proxy, newer, children)
            if not project.is_finished():
                break
        first = point
        project.lapse()
        if end == "abort":
            result = rotation.abort(project.configuration)
            assert (result.outcome, project.stored()) == ("put back", project.key.reveal())
        else:
            result = rotation.resume(project.configuration, reporter=SILENT)
            assert (result.outcome, project.stored()) == ("finished", newer.reveal())
        assert project.is_finished()
        assert rotation.resume(project.configuration, reporter=SILENT).outcome == "nothing"
    assert [change.action for change in store.history(project.owner, store.SERVICE_KEY)][:3] == [
        "replaced", "put back", "replaced",
    ]  # fmt: skip
