"""The page of the faults, which is written with --write-table docs/reference/faults.md."""

from pathlib import Path

import pytest

from tests.health.faults.table import FALSE_ALARM, MODE, PAIR, Table


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the run write its table."""
    parser.addoption("--write-table", metavar="PATH", help="write what the fault suite found as a page")


def pytest_configure(config: pytest.Config) -> None:
    """Collect what the tests report, here or in the workers of xdist."""
    path = config.getoption("--write-table", default=None)
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Collector(config.rootpath / path))


class _Collector:
    """Gathers the properties of finished tests and writes them down once, at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._table = Table()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test says it saw, whether it passed or not."""
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name in {MODE, PAIR, FALSE_ALARM}:
                self._table.add(name, value)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page."""
        if session.testscollected:
            self._path.write_text(self._table.page(), encoding="utf-8")
