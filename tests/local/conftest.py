"""A private cluster with pg_net: the stand-in and its worker; `AUTOSYNC_TEST_REAL_PG_NET=1` asks for the real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
import pytest

from autosync_db.local import installation
from autosync_db.local.cluster import Cluster
from tests.support import clusters

T = TypeVar("T")


@dataclass(slots=True)
class NetServer:
    """A running cluster; `postgres` runs the worker without privileges, `supabase_admin` is superuser."""

    cluster: Cluster
    worker: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def real(self) -> bool:
        """Whether this is the real pg_net."""
        return not self.cluster.stand_in

    def connect(self, user: str = "postgres") -> psycopg.Connection[Any]:
        """Open an autocommit connection as `user`."""
        return clusters.connect(self.cluster, user)

    def wait_for(self, probe: Callable[[], T], *, seconds: float = 15.0) -> T:
        """Return the probe's first truthy answer; raise AssertionError when none came within `seconds`."""
        return clusters.wait_for(probe, "an answer", seconds)

    def crash(self) -> None:
        """Stop the server without a checkpoint and start it again."""
        self.cluster.stop("immediate")
        self.cluster.start()

    def start_worker(self) -> None:
        """Start the stand-in's worker; with the real extension the server has done so."""
        if not self.real:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "autosync_db.local.pg_net.worker"],
                env={**os.environ, **self.cluster.environment("postgres")},
                stderr=(self.cluster.folder / "pg_net.log").open("ab"),
            )

    def stop_worker(self) -> int | None:
        """End the stand-in's worker with SIGTERM and return its exit status."""
        if self.worker is None:
            return None
        self.worker.send_signal(signal.SIGTERM)
        status = self.worker.wait(timeout=10)
        self.worker = None
        return status


@pytest.fixture(scope="session")
def net_server() -> Iterator[NetServer]:
    """A cluster with pg_net created and its worker running; `plain` is a role without any privilege."""
    if clusters.REAL_PG_NET and not installation.find().has_real_pg_net:
        pytest.skip("the real pg_net is not installed")
    with clusters.created(stand_in=not clusters.REAL_PG_NET) as made:
        server = NetServer(made)
        made.passwords["plain"] = made.passwords["postgres"]
        try:
            with server.connect("supabase_admin") as connection:
                connection.execute(f"create role plain nosuperuser login password '{made.passwords['plain']}'".encode())
                connection.execute("create extension pg_net")
            server.start_worker()
            with server.connect() as connection:
                connection.execute("set statement_timeout = '20s'")
                connection.execute("select net.wait_until_running()")
            yield server
        finally:
            server.stop_worker()
