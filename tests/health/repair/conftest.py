"""One healthy project for all faults of a module: each is mended before the next."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters, health, http_stub
from tests.support.health import Project


class Shop:
    """Hands out a healthy project: the one that the last test left so, else a new one."""

    def __init__(self, template: Cluster) -> None:
        self._template = template
        self._stack = ExitStack()
        self._project: Project | None = None

    def project(self) -> Project:
        """Return a project on which every check says ok."""
        if self._project is not None and self._project.report().root_causes:
            self.close()
        if self._project is None:
            self._stack.enter_context(health.launcher_that_counts_as_settled())
            cluster = self._stack.enter_context(clusters.cloned(self._template))
            clusters.keep_quiet(cluster)
            stub = self._stack.enter_context(http_stub.serve())
            self._project = self._stack.enter_context(health.healthy(cluster, stub))
        self._project.must_be_healthy()
        return self._project

    def close(self) -> None:
        """Throw the project away."""
        self._project = None
        self._stack.close()


@pytest.fixture(scope="module")
def shop(quiet_template: Cluster) -> Iterator[Shop]:
    """Where projects come from."""
    opened = Shop(quiet_template)
    yield opened
    opened.close()


@pytest.fixture
def project(shop: Shop) -> Project:
    """A project on which every check says ok."""
    return shop.project()
