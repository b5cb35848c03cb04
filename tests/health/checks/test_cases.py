"""Every check on states of a healthy project: what it names, what it does not, and what its repair leaves."""

import pytest

from autosync_db.health import catalogue
from tests.health.checks.case import Case
from tests.health.checks.cases import (
    cron,
    function,
    job,
    keys,
    migrations,
    neighbours,
    net,
    retention,
    runs,
    schedules,
    secrets,
    security,
    server,
)
from tests.support.trial import Trial

LAYERS = (server, cron, job, runs, net, function, secrets, keys, schedules, security, retention, migrations, neighbours)
CASES: dict[str, tuple[Case, ...]] = {id: cases for layer in LAYERS for id, cases in layer.CASES.items()}
# these call a function or the platform themselves: test_<id>.py
ELSEWHERE = {"function_rejects_strangers", "legacy_keys_off"}


@pytest.mark.parametrize("id", CASES)
def test_check_names_the_fault_and_nothing_else(id: str, project: Trial) -> None:
    wrong = []
    for case in CASES[id]:
        try:
            with project.undone():
                case.try_on(project, id)
        except Exception as error:
            wrong.append(f"{case.what}: {error!r}")
    assert not wrong, "\n".join(wrong)


def test_every_check_has_cases() -> None:
    assert set(CASES) | ELSEWHERE == set(catalogue.all_checks())
