"""Databases in the states from which a migration starts, and the page of what was found when it was interrupted."""

from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.schema import interrupted, interruption_page
from tests.schema.interrupted import Ground
from tests.support import clusters, handmade


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the run write its page."""
    parser.addoption("--write-interruption", metavar="PATH", help="write what the runs that were interrupted left")


def pytest_configure(config: pytest.Config) -> None:
    """Collect what the tests report, here or in the workers of xdist."""
    path = config.getoption("--write-interruption", default=None)
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Collector(config.rootpath / path))


class _Collector:
    """Gathers the properties of finished tests and writes them down once, at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: list[tuple[str, object]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test says it saw, whether it passed or not."""
        if report.when == "call":
            self._found += report.user_properties

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        self._path.write_text(interruption_page.page(self._found), encoding="utf-8")


@pytest.fixture(scope="session")
def deployed_template(blank_template: Cluster) -> Iterator[Cluster]:
    """A stopped cluster in the deployed state, with rows; its job ticks in January alone."""
    with clusters.cloned(blank_template) as copy:
        handmade.deploy(copy)
        with clusters.connect(copy, "supabase_admin") as admin:
            admin.execute("update cron.job set schedule = '0 0 1 1 *'")
        copy.stop()
        yield copy


@pytest.fixture(scope="session")
def adopted_template(deployed_template: Cluster) -> Iterator[Cluster]:
    """A stopped cluster that was brought from the deployed state to head."""
    with clusters.cloned(deployed_template) as copy:
        migrate.upgrade(copy.url())
        copy.stop()
        yield copy


@pytest.fixture(scope="session")
def children() -> ForkServerContext:
    """Where processes begin with everything imported."""
    return interrupted.children()


@pytest.fixture(scope="session")
def _empty(blank_template: Cluster, children: ForkServerContext) -> Iterator[Ground]:
    with interrupted.ground(blank_template, interrupted.upgrade, children) as made:
        yield made


@pytest.fixture(scope="session")
def _deployed(deployed_template: Cluster, children: ForkServerContext) -> Iterator[Ground]:
    with interrupted.ground(deployed_template, interrupted.upgrade, children) as made:
        yield made


@pytest.fixture(scope="session")
def _adopted(adopted_template: Cluster, children: ForkServerContext) -> Iterator[Ground]:
    with interrupted.ground(adopted_template, interrupted.downgrade, children) as made:
        yield made


@pytest.fixture
def empty(_empty: Ground) -> Ground:
    """An empty database to migrate."""
    return _empty.begin()


@pytest.fixture
def deployed(_deployed: Ground) -> Ground:
    """A database in the deployed state to migrate."""
    return _deployed.begin()


@pytest.fixture
def adopted(_adopted: Ground) -> Ground:
    """A database that was brought from the deployed state to head, to take back."""
    return _adopted.begin()
