"""Healthy projects to break: one that every test takes back by a rollback, and one on a server that is put back."""

from collections.abc import Iterator
from contextlib import chdir

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters, health, http_stub, trial
from tests.support.health import LiveProject
from tests.support.trial import Trial


@pytest.fixture(scope="session")
def untouched(quiet_template: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveProject]:
    """A healthy project in which nothing is ever committed."""
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
    with health.launcher_that_counts_as_settled(), trial.begun(untouched) as made:
        yield made
