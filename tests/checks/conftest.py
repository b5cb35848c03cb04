"""A healthy project of the test's own, to break."""

from collections.abc import Iterator

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import health
from tests.support.health import Project
from tests.support.http_stub import Stub


@pytest.fixture
def project(migrated: Cluster, stub: Stub) -> Iterator[Project]:
    """A project on which every check says ok."""
    with health.healthy(migrated, stub) as made:
        made.must_be_healthy()
        yield made
