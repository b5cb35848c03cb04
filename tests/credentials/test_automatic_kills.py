"""`rotate --auto` killed at every step: the chain works at that moment, and `rotate --resume` ends it with one key.

The table is printed with `pytest -s`.
"""

import functools
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any

import pytest

from autosync_db import config
from autosync_db.credentials import (
    automatic,
    cron_secret,
    journal,
    lease,
    rotation,
    store,
    unfinished,
)
from autosync_db.jobs import calls
from autosync_db.secret import Secret
from autosync_db.supabase.management import Management
from tests.credentials.conftest import SILENT, Platform
from tests.support import clusters, cutting_proxy
from tests.support.management import Request, Trouble

# what a step calls, by the words of the table
STEPS: dict[str, tuple[Any, str]] = {
    "write the journal": (journal, "begin"),
    "make the key": (Management, "create_secret_key"),
    "note the key": (journal, "note_key"),
    "ask the function": (rotation, "ask"),
    "store": (lease, "begin"),
    "call through pg_net": (calls, "trigger_and_wait"),
    "note the proof": (journal, "note_proven"),
    "finish storing": (lease, "finish"),
    "set the function's variable": (Management, "set_secrets"),
    "delete the old key": (Management, "delete_key"),
    "end the journal": (journal, "end"),
}
POINTS = [f"{when}: {step}" for step in STEPS for when in ("before", "after")]
# the API has done what it was asked, and the process never learns of it
UNHEARD = {"unheard: make the key": "POST", "unheard: delete the old key": "DELETE"}
SOON = ["after: make the key", "before: finish storing", "before: delete the old key"]


@pytest.fixture(scope="module")
def children() -> ForkServerContext:
    """Where processes begin with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.credentials.test_automatic_kills", "httpx", "jwt", "tenacity"])
    return context


def _die(when: str, wrapped: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = wrapped(*arguments, **named)
    if when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return found


def _child(point: str | None, url: str, variables: dict[str, str], folder: str, command: str) -> None:
    """What the child does: one command, which dies at the point."""
    os.environ.update(variables)
    os.chdir(folder)
    rotation.PAUSE_SECONDS = 0.1
    when, _, step = (point or "").partition(": ")
    if step and when != "unheard":
        owner, name = STEPS[step]
        wrapped = getattr(owner, name)
        dying: Any = functools.partial(_die, when, wrapped)
        setattr(owner, name, (lambda *a, **k: dying(*a, **k)) if owner is Management else dying)
    configuration = config.load(config.Flags(target="production", database_url=Secret(url)))
    if command == "rotate":
        automatic.rotate(configuration, SILENT)
    else:
        unfinished.resume(configuration, SILENT)


def _killed(found: Platform, children: ForkServerContext, point: str, command: str, url: str | None = None) -> bool:
    """Run a command in a child that dies at the point; return whether it came to that."""
    child = children.Process(
        target=_child,
        args=(point, url or found.project.cluster.url().reveal(), found.variables, os.getcwd(), command),
    )
    if point in UNHEARD:

        def kill(request: Request) -> Trouble | None:
            if request.method != UNHEARD[point] or not request.path.startswith("/v1/projects/"):
                return None
            # what is asked for is done while the answer is held back
            return Trouble(503, done=True, delay_seconds=30)

        found.api.trouble = kill
        child.start()
        clusters.wait_for(
            lambda: [one for one in found.api.requests if one.method == UNHEARD[point]] or not child.is_alive(),
            "the request",
        )
        clusters.wait_for(lambda: _is_done(found, point) or not child.is_alive(), "what it asks for")
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
    else:
        child.start()
    child.join(60)
    found.api.trouble = lambda request: None
    assert child.exitcode in {0, -signal.SIGKILL}, f"{point}: exit {child.exitcode}"
    _gone(found)
    return child.exitcode != 0


def _is_done(found: Platform, point: str) -> bool:
    return bool(found.ours) if UNHEARD[point] == "POST" else "cron" not in found.names


def _gone(found: Platform) -> None:
    clusters.wait_for(
        lambda: (
            found.project.value("select count(*) from pg_stat_activity where application_name = 'autosync-db'") == 0
        ),
        "the end of the killed session",
    )


def _look(found: Platform) -> str:
    """Return how things stand, after one more tick that is let in."""
    assert found.is_whole(), "neither key works"
    active = "old" if found.project.stored() == found.project.key.reveal() else "new"
    proven = "" if found.project.is_finished() else ", unproven"
    left = "journal" if found.journal() else "no journal"
    old = "there" if "cron" in found.names else "gone"
    return f"{active} key active{proven}; {len(found.ours)} made, old {old}; {left}"


def _end(found: Platform) -> str:
    """Resume until nothing is left, and see that one key is; return the outcome."""
    found.project.lapse()
    ended = unfinished.resume(found.configuration, SILENT).outcome
    if ended == "nothing" and "cron" in found.names:
        # nothing was begun, or it was undone
        assert found.ours == []
        automatic.rotate(found.configuration, SILENT)
    assert len(found.ours) == 1, found.names
    assert found.names == {"default", "web", "service_role", *found.ours}
    assert found.project.stored() == found.value_of(found.ours[0])
    assert found.api.secrets == {"CRON_KEY": found.value_of(found.ours[0])}
    assert found.journal() is None
    assert found.project.is_finished()
    assert found.is_whole()
    assert unfinished.resume(found.configuration, SILENT).outcome == "nothing"
    return ended


def _begin(found: Platform) -> None:
    """Let things be as before the first rotation."""
    for name in found.ours:
        found.api.keys = [one for one in found.api.keys if one["name"] != name]
    if "cron" not in found.names:
        found.api.add_key("cron", found.project.key.reveal())
    found.api.secrets = {"CRON_KEY": found.project.key.reveal()}
    found.api.requests.clear()
    owner = found.project.owner
    owner.execute(
        "update public.pg_cron_secrets set secret = %s where name = 'service_role_key'", [found.project.key.reveal()]
    )


@pytest.mark.parametrize(
    "points", [SOON, pytest.param([*POINTS, *UNHEARD], marks=pytest.mark.long)], ids=["some", "all"]
)
def test_killed_at_any_step_one_key_works_and_resume_ends_it(
    platform: Platform,
    children: ForkServerContext,
    points: list[str],
) -> None:
    table = []
    for point in points:
        _begin(platform)
        assert _killed(platform, children, point, "rotate"), point
        state = _look(platform)
        table.append(f"| {point} | {state} | {_end(platform)} |")
    print(
        "\n".join(
            [
                "",
                "| killed | a tick at that moment is let in; how things stand | resume |",
                "| --- | --- | --- |",
                *table,
            ]
        )
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "first", ["after: write the journal", "after: make the key", "after: store", "after: finish storing"]
)
def test_a_resume_that_is_killed_itself_can_be_resumed(
    platform: Platform,
    children: ForkServerContext,
    first: str,
) -> None:
    died = 0
    for point in POINTS[2::2]:
        _begin(platform)
        assert _killed(platform, children, first, "rotate"), point
        platform.project.lapse()
        died += _killed(platform, children, point, "resume")
        _look(platform)
        _end(platform)
    assert died >= 3


@pytest.mark.long
def test_killed_between_any_two_statements_resume_ends_it(
    platform: Platform,
    children: ForkServerContext,
) -> None:
    states: set[str] = set()
    with cutting_proxy.relay(platform.project.cluster) as proxy:
        for point in range(1, 300, 5):
            _begin(platform)
            pids: list[int] = []
            child = children.Process(
                target=_child, args=(None, proxy.url().reveal(), platform.variables, os.getcwd(), "rotate")
            )

            def kill(pids: list[int] = pids) -> None:
                os.kill(pids[0], signal.SIGKILL)

            proxy.arm(None)
            child.start()
            assert child.pid is not None
            pids.append(child.pid)
            proxy.arm(point, kill)
            child.join(60)
            _gone(platform)
            states.add(_look(platform))
            _end(platform)
            if child.exitcode == 0:
                break
        else:
            pytest.fail("the child never came to its end")
    assert len(states) >= 4, states


SECRET_STEPS = (
    "write the journal", "note the key", "set the function's variable", "ask the function", "store",
    "call through pg_net", "note the proof", "finish storing", "end the journal",
)  # fmt: skip


@pytest.mark.parametrize(
    "points",
    [
        ["after: set the function's variable"],
        pytest.param(
            [f"{when}: {step}" for step in SECRET_STEPS for when in ("before", "after")], marks=pytest.mark.long
        ),
    ],
    ids=["some", "all"],
)
def test_a_cron_secret_killed_at_any_step_is_ended_by_resume(
    by_secret: Platform, children: ForkServerContext, points: list[str]
) -> None:
    table = []
    project = by_secret.project
    for point in points:
        project.owner.execute("delete from public.pg_cron_secrets where name = 'cron_secret_next'")
        first = project.stored(store.CRON_SECRET)
        assert _killed(by_secret, children, point, "rotate"), point
        assert by_secret.is_whole(), point
        active = "old" if project.stored(store.CRON_SECRET) == first else "new"
        known = by_secret.api.secrets[cron_secret.VARIABLE].count(",") + 1
        project.lapse()
        ended = unfinished.resume(by_secret.configuration, SILENT).outcome
        table.append(f"| {point} | {active} secret active; the function knows {known} | {ended} |")
        assert by_secret.journal() is None
        assert project.is_finished()
        assert by_secret.api.secrets == {cron_secret.VARIABLE: project.stored(store.CRON_SECRET)}
        assert project.stored(store.CRON_SECRET_NEXT) is None
        assert (project.stored(store.CRON_SECRET) == first) == (ended == "nothing" and active == "old"), point
        assert by_secret.is_whole()
    print("\n".join(["", *table]))
