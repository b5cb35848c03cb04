"""Clusters that tests run on: `blank` and `migrated` are fresh copies, `shared` is for what leaves no trace."""

import signal
from collections.abc import Iterator

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.support import clusters, http_stub
from tests.support.http_stub import Stub

# fixtures of more than one folder
pytest_plugins = ["tests.support.edge"]

# a shell that starts the suite in the background makes it ignore the interrupts that tests send to its children
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let no variable and no autosync.toml of the machine reach a test."""
    for name in ("AUTOSYNC_DATABASE_URL", "SUPABASE_DB_URL", "DATABASE_URL", "AUTOSYNC_TARGET", "AUTOSYNC_CONFIG",
                 "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_URL"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="session")
def blank_template() -> Iterator[Cluster]:
    """A stopped cluster like a new Supabase project, without the toolkit."""
    with clusters.created() as made:
        made.stop()
        yield made


@pytest.fixture(scope="session")
def migrated_template(blank_template: Cluster) -> Iterator[Cluster]:
    """A stopped cluster at head."""
    with clusters.cloned(blank_template) as copy:
        migrate.upgrade(copy.url())
        copy.stop()
        yield copy


@pytest.fixture(scope="session")
def quiet_template(migrated_template: Cluster) -> Iterator[Cluster]:
    """A stopped cluster at head whose copies do not tick at the full minute before their test can keep them quiet."""
    with clusters.cloned(migrated_template) as copy:
        clusters.keep_quiet(copy)
        copy.stop()
        yield copy


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
    """Print the versions that a test saw, in whichever process it ran."""
    for report in [report for reports in terminalreporter.stats.values() for report in reports]:
        for name, value in getattr(report, "user_properties", ()):
            if name == "versions" and report.when == "call":
                terminalreporter.write_line(f"ran on: {value}")
