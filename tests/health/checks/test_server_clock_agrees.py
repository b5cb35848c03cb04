"""server_clock_agrees: a clock that is wrong here or there is told with its direction; a slow network is none."""

from datetime import UTC, datetime, timedelta

import pytest

from autosync_db.health import verify
from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ONLY = ["server_clock_agrees"]


def _clock(monkeypatch: pytest.MonkeyPatch, *offsets: float) -> None:
    moments = iter(offsets)
    monkeypatch.setattr(verify, "_now", lambda: datetime.now(UTC) + timedelta(seconds=next(moments, 0)))


@pytest.mark.parametrize(
    ("offset", "told"), [(-300.0, "is 300 s ahead of this machine's: "), (300.0, "is 300 s behind this machine's: ")]
)
def test_wrong_clock_is_a_warning_until_it_is_set(
    project: Project, monkeypatch: pytest.MonkeyPatch, offset: float, told: str
) -> None:
    with monkeypatch.context() as patch:
        _clock(patch, offset, offset)
        found = project.must_fail(*ONLY, status=Status.WARNING, names=told)
    assert found.verdict.evidence[0].object == "server clock"
    project.must_be_healthy()


def test_slow_answer_and_small_difference_are_no_fault(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _clock(monkeypatch, -200, 5, 50, 50)
    for _ in range(2):
        assert result_of(project.report(ONLY), ONLY[0]).status is Status.OK
