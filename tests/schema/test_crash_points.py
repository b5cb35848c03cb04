"""Whoever is killed between any two statements leaves the database as it was, or finished; the next run ends it."""

from collections.abc import Callable

import pytest

from tests.schema.interrupted import DONE, UNTOUCHED, Ground
from tests.schema.interruption_page import INTERRUPTION

# at every point would take minutes; the database is the same at all that are untouched
FINISHED_EACH = 40


@pytest.mark.parametrize("each", [40, pytest.param(1, marks=pytest.mark.long)], ids=["every fortieth", "every"])
@pytest.mark.parametrize(
    ("state", "name"),
    [
        pytest.param("empty", "`migrate`, empty database", marks=pytest.mark.long),
        ("deployed", "`migrate`, deployed"),
        pytest.param("adopted", "`rollback base`, adopted", marks=pytest.mark.long),
    ],
    ids=["empty", "deployed", "rollback"],
)
def test_killed_between_any_two_statements(
    state: str, name: str, each: int, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    ground: Ground = request.getfixturevalue(state)
    last = ground.boundaries()
    assert last > 50
    for point in [*range(1, last, each), last]:
        what = f"{name} killed at point {point} of {last}"
        assert ground.kill_at(point), f"{what}: it ended before"
        # of the last the server has committed, and the client was killed before it heard
        assert ground.judge(what) == (DONE if point == last else UNTOUCHED), what
        if point == last or point % FINISHED_EACH == 0:
            ground.finish(what)
    assert not ground.kill_at(last + 1)
    ground.check_done("the run that nobody killed")
    print(f"\n{name}: {ground.tally()}")
    if each == 1:
        record_property(INTERRUPTION, {"what": f"{name}: SIGKILL at every statement boundary", **ground.tally()})
