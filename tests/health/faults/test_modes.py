"""Every fault: a healthy project, the fault, verify names it as the root cause, and what puts it right does so."""

import pytest

from autosync_db.errors import ExitCode
from autosync_db.health import repair
from autosync_db.health.model import CheckResult, Status
from tests.health.faults import guide, look
from tests.health.faults.catalogue import ALL, MODES
from tests.health.faults.conftest import Note
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.health.faults.table import MODE
from tests.support import health, remedies, versions
from tests.support.clusters import REAL_PG_NET
from tests.support.health import LiveProject
from tests.support.trial import Trial
from tests.support.workshop import Workshop

_LETTERS = {mode.id for mode in MODES}


def _parameters(kind: type[AnyMode]) -> list[object]:
    """Return the modes of a kind: on every push the first way to what a check names, the further ones are long."""
    parameters: list[object] = []
    named: set[str] = set()
    for mode in ALL:
        if isinstance(mode, kind):
            # what has no letter is a further way to a fault that has one
            is_long = mode.long or ":" in mode.id or mode.names in named
            marks = [pytest.mark.long] if is_long else []
            if mode.stand_in_only:
                marks.append(pytest.mark.skipif(REAL_PG_NET, reason="the real pg_net cannot be brought to it so"))
            parameters.append(pytest.param(mode, id=mode.id, marks=marks))
            if not is_long:
                named.add(mode.names)
    return parameters


# what its check finds, and what blames what, is the same on every version: checks/test_cases.py is run on each
@pytest.mark.one_version
@pytest.mark.parametrize("mode", _parameters(Mode))
def test_verify_names_the_fault(mode: Mode, project: Trial, note: Note, measured_on: str) -> None:
    for _ in range(5):
        project.record_run("succeeded", "1 row")
    remedies.choose_target(project)
    mode.inject(project)
    seen = guide.look(project)
    report = project.report(role=mode.role, probe=mode.probe)
    agrees = note(MODE, measured_on, *look.cells(mode, report, seen)) if mode.id in _LETTERS else None
    look.must_name(report, mode)
    assert health.result_of(report, mode.names).reason == mode.reason
    if agrees:
        agrees()
    expected = ExitCode.CHECK_FAILED if mode.is_critical else ExitCode.OK
    assert report.exit_code() == expected

    if mode.repairable:
        printed = _plan_agrees(project, mode)
        # what the injection cannot do without, and what waits for this one, is repaired with it
        followers = [
            result.id
            for result in report.results
            if result.check.repairable and (result.id in mode.also or result.blocked_by == (mode.names,))
        ]
        remedies.run(project, printed, role=mode.repaired_by)
        if followers := [id for id in followers if project.look(id, role=mode.repaired_by).status is not Status.OK]:
            project.repair(*followers, role=mode.repaired_by)
        project.tick()
        left = project.report(role=mode.role)
        assert not left.root_causes, health.described(left)
    elif mode.undo:
        mode.undo(project)
        left = project.report([mode.names, *mode.also], probe=mode.probe)
        assert not left.root_causes, health.described(left)


def _plan_agrees(project: Trial, mode: Mode) -> CheckResult:
    """Return what verify prints to whoever repairs.

    Fail unless the repair's plan asks for consent where it must, changes nothing, and is text that can be run.
    """
    report = project.report([mode.names], mode.repaired_by)
    session = project.acting_as(mode.repaired_by)
    with session.transaction(force_rollback=True):
        plan = repair.plan(session, project.configuration, report, [mode.names])
        assert plan.proposals, plan.refusals
        if mode.destructive is not None:
            assert {proposal.destructive for proposal in plan.proposals} == {mode.destructive}
        assert project.look(mode.names, role=mode.repaired_by).status is mode.status
        for proposal in plan.proposals:
            assert repair.script(proposal).endswith("\ncommit;\n")
    return health.result_of(report, mode.names)


@pytest.mark.parametrize("mode", _parameters(ServerMode))
def test_verify_names_the_fault_of_a_server(
    mode: ServerMode, live: LiveProject, workshop: Workshop, note: Note
) -> None:
    if mode.gone_with:
        versions.needs_older_pg_cron(live.cluster, mode.gone_with, mode.fault)
    remedies.choose_target(live)
    mode.inject(live)
    seen = guide.look(live)
    report = look.verify(live, mode)
    agrees = note(MODE, workshop.environment, *look.cells(mode, report, seen)) if mode.id in _LETTERS else None
    look.must_name(report, mode)
    assert health.result_of(report, mode.names).reason == mode.reason
    if agrees:
        agrees()
    expected = ExitCode.CHECK_FAILED if mode.is_critical else ExitCode.OK
    assert report.exit_code() == expected

    if mode.repairable:
        remedies.run(live, health.result_of(report, mode.names), role=mode.repaired_by)
        live.tick()
    elif mode.undo:
        mode.undo(live)
    else:
        return
    left = look.verify(live, mode if mode.repairable or mode.probe else None)
    assert not left.root_causes, health.described(left)
    if mode.tidy:
        mode.tidy(live)
