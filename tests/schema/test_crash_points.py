"""Whoever is killed between any two statements leaves the database as it was, or finished; the next run ends it."""

from collections.abc import Callable
from multiprocessing.context import ForkServerContext

import pytest

from autosync_db.local.cluster import Cluster
from tests.schema import interrupted
from tests.schema.interrupted import DONE, UNTOUCHED

MOST_POINTS = 1000
# at every point would take minutes; the database is the same at all that are untouched
FINISHED_EACH = 25


@pytest.mark.parametrize(
    ("name", "template", "work"),
    [
        ("migrate, empty", "blank_template", interrupted.upgrade),
        ("migrate, deployed", "deployed_template", interrupted.upgrade),
        ("rollback base", "adopted_template", interrupted.downgrade),
    ],
    ids=["empty", "deployed", "rollback"],
)
def test_killed_between_any_two_statements(
    name: str,
    template: str,
    work: Callable[[str], None],
    children: ForkServerContext,
    request: pytest.FixtureRequest,
) -> None:
    source: Cluster = request.getfixturevalue(template)
    with interrupted.ground(source, work, children) as ground:
        for point in range(1, MOST_POINTS):
            if not ground.kill_at(point):
                break
            what = f"{name} killed at point {point}"
            state = ground.judge(what)
            assert state == DONE or not ground.outcomes[DONE], f"{what}: {state} after it was done"
            if state == DONE or point % FINISHED_EACH == 0:
                ground.finish(what)
        else:
            pytest.fail("the child never came to its end")
        ground.check_done("the run that nobody killed")
    print(f"\n{name}: killed at {point - 1} points: {ground.outcomes}, {ground.finished_after} finished")
    assert ground.outcomes[UNTOUCHED] > 50
    # the server had committed, and the client was killed before it heard
    assert ground.outcomes[DONE] == 1
