"""A healthy project of the test's own, to break."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import health
from tests.support.health import Project
from tests.support.http_stub import Stub


@pytest.fixture
def project(request: pytest.FixtureRequest, migrated: Cluster, stub: Stub) -> Iterator[Project]:
    """A project on which every check says ok; with the mark young_launcher pg_cron's process is watched as ever."""
    is_watched = request.node.get_closest_marker("young_launcher")
    with (
        nullcontext() if is_watched else health.launcher_that_counts_as_settled(),
        health.healthy(migrated, stub) as made,
    ):
        made.must_be_healthy()
        yield made
