"""Every failure mode: a healthy project, the fault, verify names it as the root cause, repair or a hand mends it."""

import pytest

from autosync_db.errors import ExitCode
from tests.health.faults import guide, table
from tests.health.faults.catalogue import MODES
from tests.health.faults.mode import Mode
from tests.health.faults.workshop import Workshop, mended, verify
from tests.support import health, versions


@pytest.mark.parametrize("mode", MODES, ids=[mode.id for mode in MODES])
def test_verify_names_the_fault(mode: Mode, workshop: Workshop, record_property: table.Record) -> None:
    project = workshop.healthy()
    if mode.gone_with:
        versions.needs_older_pg_cron(project.cluster, mode.gone_with, mode.fault)
    mode.inject(project)
    seen = guide.look(project)
    found = verify(project, mode)
    report = found.report
    named = next(
        (result for result in report.root_causes if result.id == mode.names), next(iter(report.root_causes), None)
    )
    reported = {
        "id": mode.id,
        "fault": mode.fault,
        "simulated": mode.simulated,
        "expected": mode.names,
        "roots": list(found.roots),
        "named": named.id if named else "nothing",
        "status": named.status.value if named else "ok",
        "summary": named.verdict.summary if named else "",
        "also": [id for id in found.roots if not named or id != named.id],
        "guide": seen,
        "guide_when_healthy": workshop.guide_when_healthy,
        "environment": workshop.environment,
        "seconds": found.seconds,
        "repaired": False,
    }
    record_property(table.MODE, reported)

    told = health.described(report)
    assert mode.names in found.roots, told
    assert set(found.roots) == {mode.names, *mode.also}, told
    result = health.result_of(report, mode.names)
    assert result.status is mode.status, told
    evidence = " | ".join(f"{item.object}: {item.detail}" for item in result.verdict.evidence)
    assert mode.says in evidence, evidence
    expected = ExitCode.CHECK_FAILED if mode.is_critical else ExitCode.OK
    assert report.exit_code() == expected, told

    if not mode.repairable and not mode.mend:
        workshop.discard()
        return
    with mended(project, mode):
        if mode.repairable:
            project.tick()
        left = verify(project, mode if mode.repairable or mode.probe else None)
        assert not left.roots, health.described(left.report)
    reported["repaired"] = mode.repairable
