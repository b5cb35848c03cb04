"""What these tests share: what a database holds, a server that must not be called, a project."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autosync_db.local.cluster import HOST, Cluster
from autosync_db.secret import Secret
from tests.support import clusters, command, keys
from tests.support.command import Result
from tests.support.http_stub import Stub

# once a year: no tick of pg_cron's own joins the calls that a test counts
RARELY = {"AUTOSYNC_JOB__SCHEDULE": "59 23 31 12 *"}


@dataclass
class Listener:
    """A loopback port that notices whether anybody connects to it."""

    port: int
    _socket: socket.socket = field(repr=False)

    @property
    def database(self) -> Secret:
        """Return a database URL that leads here."""
        return Secret(f"postgresql://postgres:irrelevant@{HOST}:{self.port}/postgres")

    @property
    def was_called(self) -> bool:
        """Whether a connection is waiting."""
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A server that must not be called."""
    with socket.socket() as opened:
        opened.bind((HOST, 0))
        opened.listen()
        opened.setblocking(False)
        yield Listener(opened.getsockname()[1], opened)


@dataclass
class Project:
    """A database with a pg_net worker and the stub that its calls reach."""

    cluster: Cluster
    stub: Stub
    key: Secret
    variables: dict[str, str] = field(default_factory=lambda: dict(RARELY))

    def run(self, *arguments: str, stdin: str = "", variables: dict[str, str] | None = None) -> Result:
        """Run a command on this project's database."""
        return command.run(
            *arguments, database=self.cluster.url(), variables={**self.variables, **(variables or {})}, stdin=stdin
        )

    def setup(self, *arguments: str, key: Secret | None = None) -> Result:
        """Run `setup` with the stub's address, and the key on standard input."""
        return self.run(
            "setup",
            "--project-url",
            self.stub.url,
            "--service-role-key-file",
            "-",
            *arguments,
            stdin=(key or self.key).reveal() + "\n",
        )


@pytest.fixture
def new_project(blank: Cluster, stub: Stub) -> Iterator[Project]:
    """A project of the test's own that was never set up."""
    with clusters.pg_net_worker(blank):
        yield Project(blank, stub, keys.secret())


@pytest.fixture(scope="session")
def at_head(quiet_template: Cluster) -> Iterator[Cluster]:
    """A running database at head with a worker, for `project`; whoever uses it calls `forget` first."""
    with clusters.cloned(quiet_template) as copy, clusters.pg_net_worker(copy):
        clusters.keep_quiet(copy)
        yield copy


def forget(cluster: Cluster) -> None:
    """Delete the secrets and all that was recorded; the job stays, and setup gives it its settings."""
    with clusters.connection(cluster, "supabase_admin") as connection, connection.transaction():
        connection.execute("set local session_replication_role = replica")
        connection.execute(
            "truncate public.pg_cron_secrets, autosync.secret_change, autosync.secret_rotation,"
            " autosync.key_rotation, autosync.tick, autosync.invocation, net.http_request_queue, net._http_response"
        )
        connection.execute("delete from autosync.setting where name in ('function_auth', 'binding')")


@pytest.fixture
def project(at_head: Cluster, stub: Stub) -> Project:
    """A project at head without secrets; other tests use its cluster too, so pause or edit the job of `new_project`."""
    forget(at_head)
    return Project(at_head, stub, keys.secret())


@pytest.fixture
def key_file(tmp_path: Path) -> Callable[[Secret], Path]:
    """A function that writes a key into a file."""

    def write(key: Secret) -> Path:
        path = tmp_path / "service-key"
        path.write_text(key.reveal() + "\n")
        path.chmod(0o600)
        return path

    return write
