"""How verify looks at a fault, and what is reported of it."""

from contextlib import nullcontext

from autosync_db.connection import connect
from autosync_db.errors import UnreachableError
from autosync_db.health import verify as runner
from autosync_db.health.model import Report
from tests.health.faults import table
from tests.health.faults.mode import AnyMode, ServerMode
from tests.support import health
from tests.support.health import LiveProject
from tests.support.workshop import watched


def verify(project: LiveProject, mode: AnyMode | None = None) -> Report:
    """Run verify as its command does: on a connection of its own, as the mode's role and at its address."""
    url = project.cluster.url(mode.role if mode else "postgres")
    is_watched = False
    if isinstance(mode, ServerMode):
        url = mode.url(project) if mode.url else url
        is_watched = mode.watched
    with watched() if is_watched else nullcontext():
        try:
            with connect(url) as connection:
                return runner.run(connection, project.configuration, probe=mode is not None and mode.probe)
        except UnreachableError as error:
            return runner.unreachable(project.configuration, error)


def must_name(report: Report, mode: AnyMode) -> None:
    """Fail unless the report's root causes are those of the mode, with its status and words."""
    shown = health.described(report)
    assert set(health.roots(report)) == {mode.names, *mode.also}, shown
    result = health.result_of(report, mode.names)
    assert result.status is mode.status, shown
    assert mode.says in health.evidence(result.verdict), shown


def cells(mode: AnyMode, report: Report, guide: str) -> tuple[str, str, str, str]:
    """Return what the page says of a mode."""
    roots = [result.id for result in report.root_causes]
    named = next((result for result in report.root_causes if result.id == mode.names), None)
    says = f"{named.status.value} `{named.id}`: {named.verdict.summary}" if named else "ok nothing"
    also = ", ".join(f"`{id}`" for id in roots if id != mode.names)
    return (
        mode.id,
        mode.fault + (f" ({mode.simulated})" if mode.simulated else ""),
        guide,
        table.shortened(says) + (f"; also {also}" if also else ""),
    )


def said(report: Report) -> str:
    """Return what the page says of a report in which nothing should be wrong."""
    return table.shortened("; ".join(f"{result.id}: {result.verdict.summary}" for result in report.root_causes))
