"""Clusters that tests run on: `blank` and `migrated` are fresh copies, `shared` is for what leaves no trace."""

import gc
import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.support import clusters, guard, http_stub
from tests.support.http_stub import Stub

# fixtures of more than one folder
pytest_plugins = ["tests.support.edge"]

# a shell that starts the suite in the background makes it ignore the interrupts that tests send to its children
signal.signal(signal.SIGINT, signal.default_int_handler)

# a slow machine takes longer, and does not fail
hypothesis.settings.register_profile(
    "here", deadline=None, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("here")

_folders = itertools.count()
_TEMPLATES = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the templates, which the workers of xdist share with the process that starts them."""
    config.pluginmanager.register(guard.Guard())
    if clusters.TEMPLATES not in os.environ:
        config.stash[_TEMPLATES] = clusters.new_folder()
        os.environ[clusters.TEMPLATES] = str(config.stash[_TEMPLATES])


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what stays to the end; it took a fiftieth of the suite."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete the templates, once the workers have ended."""
    if _TEMPLATES in config.stash:
        del os.environ[clusters.TEMPLATES]
        shutil.rmtree(config.stash[_TEMPLATES], ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no variable and no autosync.toml of the machine reach a test."""
    for name in ("AUTOSYNC_DATABASE_URL", "SUPABASE_DB_URL", "DATABASE_URL", "AUTOSYNC_TARGET", "AUTOSYNC_CONFIG",
                 "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_URL", "SUPABASE_ACCESS_TOKEN",
                 "AUTOSYNC_SUPABASE_API_URL"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp(f"here-{next(_folders)}", numbered=False))


@pytest.fixture(scope="session")
def blank_template() -> Cluster:
    """A stopped cluster like a new Supabase project, without the toolkit."""
    return clusters.template("blank", lambda cluster: None)


@pytest.fixture(scope="session")
def migrated_template(blank_template: Cluster) -> Cluster:
    """A stopped cluster at head."""

    def prepare(cluster: Cluster) -> None:
        migrate.upgrade(cluster.url())

    return clusters.template("migrated", prepare, blank_template)


@pytest.fixture(scope="session")
def quiet_template(migrated_template: Cluster) -> Cluster:
    """A stopped cluster at head whose copies do not tick at the full minute before their test can keep them quiet."""
    return clusters.template("quiet", clusters.keep_quiet, migrated_template)


@pytest.fixture
def blank(blank_template: Cluster) -> Iterator[Cluster]:
    """A running cluster of the test's own, without the toolkit."""
    with clusters.cloned(blank_template) as copy:
        yield copy


@pytest.fixture
def migrated(quiet_template: Cluster) -> Iterator[Cluster]:
    """A running cluster of the test's own, at head; no pg_net worker runs."""
    with clusters.cloned(quiet_template) as copy:
        clusters.keep_quiet(copy)
        yield copy


@pytest.fixture(scope="session")
def shared(quiet_template: Cluster) -> Iterator[Cluster]:
    """A running cluster at head for tests that roll back what they do."""
    with clusters.cloned(quiet_template) as copy:
        clusters.keep_quiet(copy)
        yield copy


@pytest.fixture
def transaction(shared: Cluster) -> Iterator[psycopg.Connection[clusters.Row]]:
    """A connection as postgres to the shared cluster, in a transaction that is rolled back."""
    with psycopg.connect(shared.url().reveal()) as connection:
        # else a first statement in a block of its own, as connection.transaction() makes one, would be committed
        connection.execute("select")
        try:
            yield connection
        finally:
            connection.rollback()


@pytest.fixture
def stub() -> Iterator[Stub]:
    """An HTTP server that stands for the project's functions."""
    with http_stub.serve() as running:
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the versions that a test saw, and the seed and the figures of a run, in whichever process it ran."""
    for report in [report for reports in terminalreporter.stats.values() for report in reports]:
        for name, value in getattr(report, "user_properties", ()):
            if name == "versions" and report.when == "call":
                terminalreporter.write_line(f"ran on: {value}")
            if name == "figures" and report.when == "call":
                terminalreporter.write_line(value)
