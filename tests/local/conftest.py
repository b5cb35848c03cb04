"""A private cluster with pg_net: the stand-in and its worker, or the real extension.

`AUTOSYNC_TEST_REAL_PG_NET=1` asks for the real one, taken from the server's own directories or from the
staging tree (`make install DESTDIR=...`) that `AUTOSYNC_TEST_PG_NET_STAGE` names.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


@dataclass(slots=True)
class NetServer:
    """A running cluster; `postgres` runs the worker without privileges, `supabase_admin` is superuser."""

    directory: Path
    binaries: Path
    port: int
    real: bool
    worker: subprocess.Popen[bytes] | None = field(default=None)

    def environment(self, user: str = "postgres") -> dict[str, str]:
        """The libpq variables that lead to this cluster."""
        return {
            "PGHOST": str(self.directory),
            "PGPORT": str(self.port),
            "PGUSER": user,
            "PGDATABASE": "postgres",
        }

    def connect(self, user: str = "postgres") -> psycopg.Connection[Any]:
        """Open an autocommit connection as `user`."""
        return psycopg.connect(
            host=str(self.directory), port=self.port, user=user, dbname="postgres", autocommit=True
        )

    def wait_for(self, probe: Callable[[], T], *, seconds: float = 15.0) -> T:
        """Return the probe's first truthy answer; raise AssertionError when none came within `seconds`."""
        deadline = time.monotonic() + seconds
        while not (answer := probe()):
            assert time.monotonic() < deadline, f"nothing within {seconds} s"
            time.sleep(0.05)
        return answer

    def control(self, *arguments: str) -> None:
        """Run pg_ctl as the operating-system user `postgres` and wait for it."""
        _as_postgres(
            self.binaries / "pg_ctl",
            "-D",
            self.directory / "data",
            "-l",
            self.directory / "log",
            "-w",
            *arguments,
        )

    def start_worker(self) -> None:
        """Start the stand-in's worker; with the real extension the server has done so."""
        if not self.real:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "autosync_db.local.pg_net_worker"],
                cwd=ROOT,
                env={**os.environ, **self.environment()},
                stderr=(self.directory / "worker.log").open("ab"),
            )

    def stop_worker(self) -> int | None:
        """End the stand-in's worker with SIGTERM and return its exit status."""
        if self.worker is None:
            return None
        self.worker.send_signal(signal.SIGTERM)
        status = self.worker.wait(timeout=10)
        self.worker = None
        return status


def _as_postgres(*command: object) -> None:
    words = [str(word) for word in command]
    if os.getuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    # pg_ctl hands its output to the server, so a pipe would never reach its end
    with tempfile.TemporaryFile() as output:
        status = subprocess.call(words, stdout=output, stderr=subprocess.STDOUT, cwd="/")
        output.seek(0)
        assert status == 0, output.read().decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _server_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_config"), key=lambda path: int(path.parts[4]))
    if not found:
        pytest.skip("no PostgreSQL server binaries")
    return found[0].parent


def _configured(binaries: Path, what: str) -> Path:
    return Path(subprocess.check_output([binaries / "pg_config", f"--{what}"], text=True).strip())


def _relocate(binaries: Path, target: Path, overlay: Path | None, extra: Path | None) -> Path:
    """Copy the server's programs, so that it looks for extensions in our tree; return its bin directory."""
    share, library = _configured(binaries, "sharedir"), _configured(binaries, "pkglibdir")
    own_bin = target / binaries.relative_to("/usr")
    shutil.copytree(binaries, own_bin)
    for source, own in (
        (share, target / share.relative_to("/usr")),
        (library, target / library.relative_to("/usr")),
    ):
        own.mkdir(parents=True)
        for entry in source.iterdir():
            if entry.name != "extension":
                (own / entry.name).symlink_to(entry)
    extensions = target / share.relative_to("/usr") / "extension"
    extensions.mkdir()
    for entry in (share / "extension").iterdir():
        # whichever pg_net the machine has must not mix with the one under test
        if not (entry.name.startswith("pg_net") and (overlay or extra)):
            (extensions / entry.name).symlink_to(entry)
    if overlay is not None:
        for entry in overlay.iterdir():
            shutil.copy(entry, extensions)
    if extra is not None:
        for entry in (extra / share.relative_to("/")).joinpath("extension").iterdir():
            shutil.copy(entry, extensions)
        for entry in (extra / library.relative_to("/")).glob("pg_net.so"):
            own_entry = target / library.relative_to("/usr") / entry.name
            own_entry.unlink(missing_ok=True)
            shutil.copy(entry, own_entry)
    return own_bin


@pytest.fixture(scope="session")
def net_server() -> Iterator[NetServer]:
    """A cluster with pg_net created and its worker running."""
    real = os.environ.get("AUTOSYNC_TEST_REAL_PG_NET") == "1"
    stage = os.environ.get("AUTOSYNC_TEST_PG_NET_STAGE")
    original = _server_binaries()
    if (
        real
        and stage is None
        and not (_configured(original, "sharedir") / "extension/pg_net.control").is_file()
    ):
        pytest.skip("the real pg_net is not installed")

    directory = Path(tempfile.mkdtemp(prefix="autosync-net-"))
    directory.chmod(0o755)
    binaries = _relocate(
        original,
        directory / "server",
        None if real else ROOT / "templates/local/pg_net",
        Path(stage) if real and stage else None,
    )
    if os.getuid() == 0:
        shutil.chown(directory, "postgres")
    port = _free_port()
    server = NetServer(directory, binaries, port, real)
    _as_postgres(
        binaries / "initdb",
        "-D",
        directory / "data",
        "-U",
        "supabase_admin",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
    )
    settings = [
        "listen_addresses = ''",
        f"unix_socket_directories = '{directory}'",
        f"port = {port}",
        "fsync = off",
        "pg_net.ttl = '6 hours'",
        "pg_net.batch_size = 200",
        *(["shared_preload_libraries = 'pg_net'", "pg_net.username = 'postgres'"] if real else []),
    ]
    with (directory / "data/postgresql.conf").open("a") as configuration:
        configuration.write("\n".join(settings) + "\n")
    try:
        # the real worker needs its role when it starts; until then it comes back every second
        server.control("start")
        with server.connect("supabase_admin") as connection:
            connection.execute("create role postgres nosuperuser createdb createrole login bypassrls")
            connection.execute("grant pg_monitor to postgres")
            connection.execute("create role plain nosuperuser login")
            connection.execute("create extension pg_net")
        server.start_worker()
        with server.connect() as connection:
            connection.execute("set statement_timeout = '20s'")
            connection.execute("select net.wait_until_running()")
        yield server
    finally:
        server.stop_worker()
        server.control("stop", "-m", "immediate")
        shutil.rmtree(directory)
