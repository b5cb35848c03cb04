"""Whoever is killed between any two statements leaves the database as it was, or finished; the next run ends it."""

from collections.abc import Callable

import pytest

from tests.schema.interrupted import DONE, UNTOUCHED, Ground
from tests.schema.interruption_page import INTERRUPTION

MOST_POINTS = 1000
# at every point would take minutes; the database is the same at all that are untouched
FINISHED_EACH = 40


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ("empty", "`migrate`, empty database"),
        ("deployed", "`migrate`, deployed"),
        ("adopted", "`rollback base`, adopted"),
    ],
    ids=["empty", "deployed", "rollback"],
)
def test_killed_between_any_two_statements(
    state: str, name: str, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    ground: Ground = request.getfixturevalue(state)
    for point in range(1, MOST_POINTS):
        if not ground.kill_at(point):
            break
        what = f"{name} killed at point {point}"
        found = ground.judge(what)
        assert found == DONE or not ground.outcomes[DONE], f"{what}: {found} after it was done"
        if found == DONE or point % FINISHED_EACH == 0:
            ground.finish(what)
    else:
        pytest.fail("the child never came to its end")
    ground.check_done("the run that nobody killed")
    print(f"\n{name}: killed at {point - 1} points: {ground.tally()}")
    record_property(INTERRUPTION, {"what": f"{name}: SIGKILL at every statement boundary", **ground.tally()})
    assert ground.outcomes[UNTOUCHED] > 50
    # the server had committed, and the client was killed before it heard
    assert ground.outcomes[DONE] == 1
