"""The page of the faults: every run compares its rows, and --write-table or --check-table speak of the whole page."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from tests.health.faults import table
from tests.health.faults.table import DOCUMENT, Page
from tests.support import workshop as workshops
from tests.support.health import LiveProject

ROW = "row of the faults"
_NAMES = {"--write-table": "write what the fault suite found into a page, and keep the rows of tests that did not run",
          "--check-table": "fail with the difference between a page and what the fault suite found"}  # fmt: skip

Record = Callable[[str, object], None]
# takes the section, the versions and the cells of a row; what it returns fails unless the page has that row
Note = Callable[..., Callable[[], None]]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the run write its table."""
    for name, help in _NAMES.items():
        parser.addoption(name, metavar="PATH", help=help)


def pytest_configure(config: pytest.Config) -> None:
    """Collect what the tests report, here or in the workers of xdist."""
    if hasattr(config, "workerinput"):
        return
    for name in _NAMES:
        if path := config.getoption(name, default=None):
            config.pluginmanager.register(Collector(config.rootpath / path, writes=name == "--write-table"))


class Collector:
    """Gathers the rows of finished tests, and writes the page or compares it once, at the end."""

    def __init__(self, path: Path, *, writes: bool) -> None:
        self._path = path
        self._writes = writes
        self._page = Page.read(path)
        self._written = self._page.environment
        self.difference: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test says it saw, whether it passed or not."""
        rows = [value for name, value in report.user_properties if name == ROW and report.when == "call"]
        for section, row, environment in cast("list[tuple[str, str, str]]", rows):
            if self._writes or environment == self._written:
                self._page.take(section, row, environment)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page, or end with its difference."""
        if not session.testscollected:
            return
        text = self._page.text()
        if self._writes:
            self._path.write_text(text, encoding="utf-8")
            return
        before = self._path.read_text(encoding="utf-8").splitlines()
        self.difference = list(difflib.unified_diff(before, text.splitlines(), "the page", "this run", lineterm=""))
        if self.difference:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the difference."""
        for line in self.difference:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def written() -> Page:
    """What the page says."""
    return Page.read()


@pytest.fixture(scope="session")
def measured_on(untouched: LiveProject) -> str:
    """On which versions the transactions that are rolled back run."""
    return workshops.environment(untouched)


@pytest.fixture
def note(record_property: Record, request: pytest.FixtureRequest, written: Page) -> Note:
    """Report a row, and return what fails unless the page has it: on other versions than the page's it may differ."""
    is_written = request.config.getoption("--write-table", default=None)

    def take(section: str, environment: str, *cells: str) -> Callable[[], None]:
        row = table.row(*cells)
        record_property(ROW, (section, row, environment))

        def agrees() -> None:
            if environment == written.environment and not is_written:
                shown = written.rows[section].get(table.key_of(row))
                assert row == shown, f"write it into {DOCUMENT.name} with --write-table, or correct the verdict"

        return agrees

    return take
