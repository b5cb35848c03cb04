"""Healthy projects to break: one that every test takes back by a rollback, and one on a server that is put right."""

from collections.abc import Iterator
from contextlib import chdir

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters, health, http_stub, trial
from tests.support.health import LiveProject
from tests.support.trial import Trial
from tests.support.workshop import Workshop


@pytest.fixture(autouse=True)
def _settled_launcher(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take a young pg_cron process for one that stays, but with the mark young_launcher: watching it takes seconds."""
    if request.node.get_closest_marker("young_launcher"):
        yield
        return
    with health.launcher_that_counts_as_settled():
        yield


@pytest.fixture(scope="session")
def untouched(quiet_template: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProject]:
    """A healthy project in which no test commits anything."""
    with (
        chdir(tmp_path_factory.mktemp("settings")),
        clusters.cloned(quiet_template) as cluster,
        http_stub.serve() as stub,
        health.healthy(cluster, stub) as made,
    ):
        made.admin.execute("create table public.of_the_project (id integer)")
        yield made


@pytest.fixture
def project(untouched: LiveProject) -> Iterator[Trial]:
    """A healthy project in a transaction that is rolled back."""
    with trial.begun(untouched) as made:
        yield made


@pytest.fixture(scope="session")
def workshop(quiet_template: Cluster) -> Iterator[Workshop]:
    """A source of projects on servers of their own."""
    made = Workshop(quiet_template)
    yield made
    made.discard()


@pytest.fixture
def live(workshop: Workshop) -> Iterator[LiveProject]:
    """A healthy project on a server, which is put right or thrown away when the test ends."""
    with workshop.lent() as project:
        yield project
