"""A week of a project's life in twenty minutes, with everything going wrong that can be made to."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from tests.chaos import faults, world
from tests.chaos.faults import Faults, Planned
from tests.chaos.invariants import Findings
from tests.chaos.journal import Entry, read
from tests.chaos.operators import Operators
from tests.chaos.world import World
from tests.support import clusters, command, http_stub, pooler

SECONDS = float(os.environ.get("CHAOS_SECONDS", "1200"))
# nothing goes wrong any more for so long before the end
CALM_SECONDS = 40.0
_HURRY = """
update autosync.alert_state as s
set said_at = s.said_at - interval '10 minutes'
where s.job_id = any (array(select a.job_id from autosync.alert_state as a for no key update skip locked))
"""
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


def live(made: World, plan: list[Planned], bad: float, *, command_every: float = 0, calm: float = 0) -> Findings:
    """Let a world live through a plan, and return all logs of it.

    `bad` is the share of bad answers. Without `command_every` no commands are run; with `calm` verify has to be well
    within so many seconds at the end, of which the plan has none.
    """
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
            threading.Thread(target=busy.run_writes, args=[0.5], name="writes", daemon=True),
            threading.Thread(target=_hurry_alerts, args=[made], name="alerts", daemon=True),
        ]
        if command_every:
            threads.append(
                threading.Thread(target=busy.run_commands, args=[command_every], name="commands", daemon=True)
            )
        messages: list[Entry] = []

        def note(request: http_stub.Request) -> int:
            messages.append(_message(request))
            made.journal.write("message", said=messages[-1])
            return 200

        receiver.judge = note
        started = time.time()
        with made.ticking():
            made.order(failing=bad)
            for thread in threads:
                thread.start()
            broken.run(plan, started, started + made.seconds - calm)
            made.ended.wait(max(0.0, started + made.seconds - calm - time.time()))
            # on a busy machine little has happened by then
            clusters.wait_for(lambda: _events(made, "answers") >= 30 and _events(made, "claimed") >= 60, "calls", 60)
            made.ended.set()
            for thread in threads:
                thread.join(timeout=120)
                assert not thread.is_alive(), f"{thread.name} hangs"
            made.order(failing=0.0, broken=[])
            if calm:
                _wait_until_healthy(made, broken, calm)
        _settle(made)
    return Findings(made, broken, busy, first, messages)


def _events(made: World, name: str) -> int:
    return sum(entry["event"] == name for entry in read(made.folder / "functions.jsonl"))


def _message(request: http_stub.Request) -> Entry:
    body = json.loads(request.body)
    said = {name: body.get(name) for name in ("event", "job", "state", "cause", "evidence", "changes")}
    return {"at": time.time(), "key": request.headers["idempotency-key"], **said}


def _hurry_alerts(made: World) -> None:
    """Let ten minutes between two messages of a job pass in as many seconds."""
    while not made.ended.wait(10):
        try:
            with made.session() as owner:
                owner.execute(_HURRY)
        except psycopg.Error:
            continue


def _wait_until_healthy(made: World, broken: Faults, patience: float) -> None:
    since = time.time()
    roots: dict[str, str] = {}
    while time.time() < since + patience:
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
                "select j.name from autosync.alert_state as s join autosync.job as j on j.id = s.job_id"
                " where s.state <> 'ok'"
            )
        ]


def _settle(made: World) -> None:
    """Return when no call is under way, and all messages are sent."""

    def settled() -> bool:
        made.tick(world.HOUSE)
        with made.session() as owner:
            owner.execute(_HURRY)
            owner.execute("update autosync.alert set next_try_at = least(next_try_at, clock_timestamp())")
            found = owner.execute(
                "select not exists (select from autosync.invocation where outcome in ('pending', 'accepted')"
                " or retry_at is not null)"
                " and not exists (select from autosync.alert where outcome in ('waiting', 'posted'))"
                " and not exists (select from autosync.alert_state where state <> said_state)"
            ).fetchone()
            return bool(found and found[0])

    clusters.wait_for(settled, "the last answers", 60)


def judged(found: Findings) -> str:
    """Return the figures, which are printed, too, or fail with every violation."""
    violations = found.all()
    figures = "\n".join(f"{name}: {figure}" for name, figure in found.figures.items())
    print(figures)
    for result in found.operators.results:
        if result[1]:
            print("command", *result)
    (found.world.folder / "violations.txt").write_text("\n\n".join(violations))
    assert not violations, f"{len(violations)} violations\n" + "\n\n".join(violations[:20])
    return figures


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 400)
def test_a_week_of_everything_going_wrong_breaks_no_promise(
    migrated: Cluster, seed: int, record_property: Callable[[str, object], None]
) -> None:
    plan = faults.planned(seed, SECONDS, 6, CALM_SECONDS)
    again = f"repeat with: make chaos CHAOS_SEED={seed} CHAOS_SECONDS={SECONDS:.0f}"
    print(*plan, sep="\n")
    # also when it fails, and in a process of pytest-xdist
    record_property("figures", again)
    with lived(migrated, Path.cwd(), seed, SECONDS, 20_000) as made:
        record_property("figures", judged(live(made, plan, 0.1, command_every=5, calm=CALM_SECONDS)))


def test_a_few_seconds_of_it_break_none_and_each_judgement_can_fail(migrated: Cluster, seed: int) -> None:
    plan = [Planned(0.5, "pooler cut", 0), Planned(2, "worker killed", 0), Planned(3, "secret missing", 0.5)]
    with lived(migrated, Path.cwd(), seed, 5, 400) as made:
        found = live(made, plan, 0.3)
        judged(found)
        for complaint in _tampered(found):
            assert [said for said in found.all() if complaint in said], f"nothing says: {complaint}"


def _tampered(found: Findings) -> Iterator[str]:
    """Change one fact after the other in what was found, and yield what has to be said of it."""
    calls = [row for row in found.ledger if row["attempt"] == len(found.answered[row["key"], row["attempt"]]) == 1]
    ways = {row["key"]: found.answered[row["key"], 1][0]["way"] for row in calls}
    good = [row for row in calls if ways[row["key"]] == "good"]
    bad = [row for row in calls if ways[row["key"]] != "good"]
    calm = max(fault.ended for fault in found.faults.happened) + 60
    bad[0]["outcome"] = "ok"
    yield f"{bad[0]['key']}', 1) is ok, not one of"
    good[0]["outcome"], good[0]["queued"] = "lost", calm + found.world.shift
    yield f"{good[0]['key']}', 1) is lost without a crash"
    good[1]["sb_request_id"] = good[2]["key"]
    yield f"{good[1]['key']}', 1) has the answer to another one"
    found.ledger.remove(good[3])
    yield f"{good[3]['key']}', 1) was received and is not in the ledger"
    call = (good[4]["key"], good[4]["attempt"])
    found.received[call] = [{**found.received[call][0], "at": calm + second} for second in (0, 1)]
    yield f"{good[4]['key']}', 1) was sent twice"

    found.answered[call][0]["way"] = "401"
    yield f"{good[4]['key']}', 1) was refused"

    ran = [id for id in found.runs if id in found.first_ids]
    plain, windowed = (next(id for id in ran if found.schedules[id]["windowed"] is kind) for kind in (False, True))
    claimed = found.runs[plain][0]
    found.runs[plain].insert(1, {**claimed, "claim": "another", "begun": claimed["begun"] + 0.001})
    yield f"schedule {plain} was held twice at once"
    found.runs[plain] = [{**claimed, "begun": claimed["due"] + 1000}]
    yield f"schedule {plain} ran 1000.0 s late"
    row = found.schedules[windowed]
    row["opens"], row["closes"] = row["closes"], row["opens"]
    yield f"schedule {windowed} ran at"
    del found.schedules[plain]
    yield f"schedule {plain.replace('-', '')} is lost"

    found.faults.happened[-1].named = ""
    yield "verify did not name: secret missing"
    found.faults.happened[-1].healthy_after = None
    found.faults.happened[-1].named = "secrets_present"
    yield "verify did not forget: secret missing"
    said = {"at": calm, "key": "a", "event": "fault", "job": "post", "state": "runs_failing", "cause": ""}
    found.messages += [said, {**said, "at": calm + 1}]
    yield "a message was sent twice"
    found.messages[-1]["key"] = "b"
    yield "job post was reported twice"


def test_a_plan_is_that_of_its_seed() -> None:
    first, again, other = (faults.planned(seed, 1200, 6, CALM_SECONDS) for seed in (1, 1, 2))
    assert first == again != other
    assert {item.kind for item in first} == {*faults.LASTING, *faults.SUDDEN}
