"""A week of a project's life in twenty minutes, with everything going wrong that can be made to."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.chaos import faults, world
from tests.chaos.faults import Faults, Operators
from tests.chaos.invariants import Findings
from tests.chaos.journal import Entry
from tests.chaos.world import World
from tests.support import clusters, command, health, http_stub, pooler

SECONDS = float(os.environ.get("CHAOS_SECONDS", "1200"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or time.time_ns() % 1_000_000
# nothing goes wrong any more for so long before the end
CALM_SECONDS = 40.0
# what is said of the past, or of the clock that the test chose
AFTERWARDS = ("no_recent_crash", "calls_hold_no_others_up", "server_clock_agrees")


@contextmanager
def lived(cluster: Cluster, folder: Path, seed: int, seconds: float, schedules: int) -> Iterator[World]:
    """Yield a world that is prepared."""
    with pooler.before(cluster, "transaction", size=6) as pooled:
        made = World(cluster, pooled, folder, seed, seconds, schedules)
        try:
            made.prepare()
            yield made
        finally:
            made.ended.set()
            made.close()


def live(made: World, plan: list[faults.Planned], *, command_every: float, write_every: float) -> Findings:
    """Let a world live through a plan, and return all logs of it."""
    with http_stub.serve() as receiver, made.session() as owner:
        first = {str(id) for (id,) in owner.execute("select id from public.auto_sync_schedules")}
        command.succeeds(
            command.run(
                "alerts", "set", "webhook", "--from-env", "RECEIVER", database=made.cluster.url(),
                variables={"RECEIVER": receiver.url},
            )
        )  # fmt: skip
        broken, busy = Faults(made), Operators(made)
        threads = [
            threading.Thread(target=busy.run_commands, args=[command_every], name="commands", daemon=True),
            threading.Thread(target=busy.run_writes, args=[write_every], name="writes", daemon=True),
            threading.Thread(target=_hurry_alerts, args=[made], name="alerts", daemon=True),
        ]
        messages: list[Entry] = []
        receiver.judge = lambda request: messages.append(_message(request)) or 200
        started = time.time()
        with made.ticking():
            made.order(failing=0.1)
            for thread in threads:
                thread.start()
            broken.run(plan, started)
            made.ended.wait(max(0.0, started + made.seconds - CALM_SECONDS - time.time()))
            made.ended.set()
            for thread in threads:
                thread.join(timeout=120)
                assert not thread.is_alive(), f"{thread.name} hangs"
            made.order(failing=0.0, broken=[])
            _wait_until_healthy(made, broken)
        _settle(made)
    return Findings(made, broken, busy, first, messages)


def _message(request: http_stub.Request) -> Entry:
    body = json.loads(request.body)
    said = {name: body.get(name) for name in ("event", "job", "state", "cause", "evidence", "changes")}
    return {"at": time.time(), "key": request.headers["idempotency-key"], **said}


def _hurry_alerts(made: World) -> None:
    """Let ten minutes between two messages of a job pass in as many seconds."""
    while not made.ended.wait(10):
        try:
            with made.session() as owner:
                owner.execute("update autosync.alert_state set said_at = said_at - interval '10 minutes'")
        except world.psycopg.Error:
            continue


def _wait_until_healthy(made: World, broken: Faults) -> None:
    since = time.time()
    roots: dict[str, str] = {}
    while time.time() < since + CALM_SECONDS:
        roots = {id: said for id, said in broken.roots().items() if id not in AFTERWARDS}
        if not roots and not _unwell(made):
            made.journal.write("healthy", after=time.time() - since)
            print(f"healthy {time.time() - since:.1f} s after the last bad answer")
            return
        time.sleep(0.5)
    broken.never_healthy = f"verify still names {roots}, the alerts {_unwell(made)}"


def _unwell(made: World) -> list[str]:
    """Return the jobs that the alerts hold for failing."""
    with made.session() as owner:
        return [
            name
            for (name,) in owner.execute(
                "select j.name from autosync.alert_state as s join autosync.job as j on j.id = s.job_id where s.state <> 'ok'"
            )
        ]


def _settle(made: World) -> None:
    """Return when no call is under way, and all messages are sent."""

    def settled() -> bool:
        made.tick(world.HOUSE)
        with made.session() as owner:
            owner.execute("update autosync.alert_state set said_at = said_at - interval '10 minutes'")
            owner.execute("update autosync.alert set next_try_at = least(next_try_at, clock_timestamp())")
            return owner.execute(
                "select not exists (select from autosync.invocation where outcome in ('pending', 'accepted')"
                " or retry_at is not null)"
                " and not exists (select from autosync.alert where outcome in ('waiting', 'posted'))"
                " and not exists (select from autosync.alert_state where state <> said_state)"
            ).fetchone() == (True,)

    clusters.wait_for(settled, "the last answers", 60)


def judged(found: Findings) -> None:
    """Print the figures, and fail with every violation."""
    violations = found.all()
    for name, figure in found.figures.items():
        print(f"{name}: {figure}")
    for result in found.operators.results:
        if result[1]:
            print("command", *result)
    (found.world.folder / "violations.txt").write_text("\n\n".join(violations))
    assert not violations, f"{len(violations)} violations\n" + "\n\n".join(violations[:20])


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with health.impatience():
        yield


def run(cluster: Cluster, seed: int, seconds: float, schedules: int, every: float) -> None:
    """Live through a plan of a seed, and judge."""
    plan = faults.planned(seed, seconds, every, CALM_SECONDS)
    print(f"seed {seed}, {seconds:.0f} s, {schedules} schedules; repeat with CHAOS_SEED={seed} CHAOS_SECONDS={seconds:.0f}")
    print("\n".join(map(str, plan)))
    folder = Path.cwd()
    with lived(cluster, folder, seed, seconds, schedules) as made:
        judged(live(made, plan, command_every=5, write_every=0.5))


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_a_week(migrated: Cluster) -> None:
    run(migrated, SEED, SECONDS, 20_000, 6)
