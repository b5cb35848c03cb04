"""While ticks come all the time, rotations lose no call: ten on a push, a hundred in the long run."""

import threading
from collections import Counter

import pytest

from autosync_db.credentials import rotation
from tests.credentials.conftest import SILENT, Project
from tests.support import clusters, keys


@pytest.mark.parametrize("rotations", [10, pytest.param(100, marks=pytest.mark.long)])
def test_rotations_lose_no_call(rotations: int, project: Project) -> None:
    """Two keys are valid during a rotation, as on the platform; the old one is deleted when `rotate` has ended."""
    stop = threading.Event()
    # the real pg_net sends in batches, and what waits behind hundreds of calls is not answered in time
    pause = 0.01 if project.cluster.stand_in else 0.2
    failures: list[BaseException] = []

    def tick() -> None:
        try:
            with clusters.connect(project.cluster) as connection:
                while not stop.wait(pause):
                    connection.execute("select autosync.dispatch(%s, true)", [project.job_name])
        except BaseException as error:
            failures.append(error)

    ticking = threading.Thread(target=tick)
    ticking.start()
    older = project.key
    notes = []
    try:
        for number in range(rotations):
            # both kinds take turns
            newer = keys.legacy() if number % 2 else keys.secret()
            project.gate.accept(older, newer)
            result = rotation.replace(project.configuration, rotation.SERVICE_KEY, newer, reporter=SILENT)
            assert result.outcome == "rotated"
            notes += [result.note] if result.note else []
            project.gate.accept(newer)
            older = newer
    finally:
        stop.set()
        ticking.join(30)
    assert failures == []
    clusters.wait_for(
        lambda: project.value(
            "with s as (select autosync.settle()) select count(*) from s, autosync.invocation where outcome = 'pending'"
        ) == 0,
        "the last answers",
    )  # fmt: skip

    made = int(project.value("select count(*) from autosync.invocation"))
    outcomes: Counter[str] = Counter()
    for name, count in project.owner.execute("select outcome, count(*) from autosync.invocation group by 1"):
        outcomes[name] = count
    statuses = Counter(status for _, status in project.gate.calls)
    reached = {tick for tick, _ in project.gate.calls}
    assert made > 2 * rotations
    assert outcomes == {"ok": made}
    assert statuses == {200: made}
    assert len(reached) == made
    assert notes == []
    assert project.value("select count(*) from autosync.secret_change where action = 'replaced'") == rotations
    assert project.is_finished()
