"""A migration is ended at any moment, by its user or by the server: all or nothing, and the next run finishes."""

import random
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from autosync_db.errors import AutosyncError, UnreachableError
from autosync_db.schema import locks
from tests.schema import interrupted
from tests.schema.interrupted import DONE, UNTOUCHED, Ground
from tests.schema.interruption_page import INTERRUPTION
from tests.support import clusters
from tests.support.command import Result, refused

BACKEND = "select a.pid from pg_stat_activity as a where a.application_name = 'autosync-db'"
RECORD = Callable[[str, object], None]


def _timed(ground: Ground) -> float:
    """Return how many seconds a run takes, from the beginning of its process."""
    begun = time.monotonic()
    ground.start(ground.cluster.url().reveal()).join(60)
    taken = time.monotonic() - begun
    ground.renew()
    return taken


@pytest.mark.parametrize("kills", [1, pytest.param(50, marks=pytest.mark.long)])
def test_killed_at_random_moments(kills: int, deployed: Ground, record_property: RECORD) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    _timed(deployed)  # the first process starts the one from which all are forked
    length = _timed(deployed)
    number = 0
    # one that came when all was done says nothing of the others: how many do depends on how fast the machine is now
    while deployed.outcomes[UNTOUCHED] < kills:
        number += 1
        moment = moments.uniform(0, length)
        child = deployed.start(deployed.cluster.url().reveal())
        child.join(moment)
        child.kill()
        child.join(20)
        assert child.exitcode in {0, -signal.SIGKILL}
        what = f"kill {number} after {moment:.3f} of {length:.3f} s"
        state = deployed.judge(what)
        assert child.exitcode or state == DONE, what
        if number % 10 == 0:
            deployed.finish(what)
        elif state == DONE:
            deployed.renew()
        assert deployed.outcomes[DONE] <= 10 * kills, "too few were killed midway"
    print(f"killed at {number} moments of {length:.3f} s: {deployed.outcomes}")
    if kills > 10:
        record_property(
            INTERRUPTION, {"what": f"`migrate`, deployed, SIGKILL at {kills} random moments", **deployed.tally()}
        )


def _ended(ground: Ground, point: int, end: Callable[[], None], folder: Path, *, cuts: bool = False) -> Result:
    """Run the real command, do something to the server when it has answered so often, and return what became of it."""
    ground.proxy.arm(point, end, cuts=cuts)
    result = _migrate(ground, folder, ground.proxy.url().reveal())
    assert ground.proxy.was_cut
    return result


def _migrate(ground: Ground, folder: Path, url: str) -> Result:
    errors = folder / "errors.txt"
    child = ground.children.Process(target=interrupted.command, args=(url, ["migrate"], errors))
    child.start()
    child.join(60)
    assert child.exitcode is not None
    return Result(child.exitcode, "", errors.read_text())


# of a run: as soon as it is connected, in the revisions, among the objects, before and after the commit
PLACES = {"connected": 0.0, "revisions": 0.5, "objects": 0.9, "commit": 1.0}


@pytest.mark.long
@pytest.mark.parametrize("mode", ["fast", "immediate", "terminate"])
def test_ended_by_the_server(mode: str, deployed: Ground, tmp_path: Path, record_property: RECORD) -> None:
    # the command asks more than a migration alone
    last = deployed.boundaries(partial(_migrate, deployed, tmp_path))

    def end() -> None:
        if mode != "terminate":
            deployed.cluster.stop(mode)
            return
        with clusters.connect(deployed.cluster, "supabase_admin") as admin:
            admin.execute(f"select pg_terminate_backend(pid, 5000) from ({BACKEND}) as a".encode())

    for place, share in PLACES.items():
        what = f"{mode} at {place}"
        point = max(1, round(share * last))
        # the commit's answer is lost; of all others the client hears, and then finds the server gone
        result = _ended(deployed, point, end, tmp_path, cuts=place == "commit")
        message = refused(result, 4)
        print(f"{what}: {message}; hint: {result.hints[0]}")
        assert f"cannot use the database at 127.0.0.1:{deployed.proxy.port}" in message
        assert "nothing was changed" not in message
        assert "run this again" in result.hints[0]
        if mode != "terminate":
            deployed.cluster.start()
        assert deployed.judge(what) == (DONE if place == "commit" else UNTOUCHED)
        deployed.finish(what)
    record_property(INTERRUPTION, {"what": f"`migrate`, deployed, {ENDINGS[mode]}", **deployed.tally()})


ENDINGS = {
    "fast": "server shut down fast and started again",
    "immediate": "server shut down immediately, crash recovery",
    "terminate": "backend ended by `pg_terminate_backend`",
}


def test_killed_while_it_waits_for_a_lock(deployed: Ground) -> None:
    with clusters.connect(deployed.cluster) as holder, clusters.connect(deployed.cluster, "supabase_admin") as watcher:
        holder.execute("begin")
        holder.execute("select * from public.pg_cron_secrets")
        child = deployed.start(deployed.cluster.url().reveal(), interrupted.upgrade_impatiently)
        waiting = f"{BACKEND} and a.wait_event_type = 'Lock'".encode()
        clusters.wait_for(lambda: watcher.execute(waiting).fetchone() is not None, "the migration to wait")
        child.kill()
        child.join(20)
        # also while the other transaction goes on
        assert deployed.judge("killed while it waits") == UNTOUCHED
    deployed.finish("killed while it waits")


@pytest.mark.long
def test_a_client_that_stands_still_is_sent_away(deployed: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that sleeps, or whose line is dead, would keep the API out until it wakes."""
    monkeypatch.setattr(locks, "IDLE_TIMEOUT", "300ms")
    is_over = threading.Event()
    midway = deployed.boundaries() // 2

    def stand_still() -> None:
        is_over.wait(20)

    deployed.proxy.arm(midway, stand_still, cuts=False)
    failures: list[Exception] = []
    sleeper = threading.Thread(target=_fail, args=(deployed.proxy.url().reveal(), failures))
    sleeper.start()
    clusters.wait_for(lambda: deployed.proxy.was_cut, "the client to stand still")
    # also while it goes on to stand still
    assert deployed.judge("asleep") == UNTOUCHED
    is_over.set()
    sleeper.join(20)
    assert [type(failure) for failure in failures] == [UnreachableError]
    # a slow machine, too, may be idle for so long
    monkeypatch.undo()
    deployed.finish("asleep")


def _fail(url: str, failures: list[Exception]) -> None:
    try:
        interrupted.upgrade(url)
    except AutosyncError as error:
        failures.append(error)
