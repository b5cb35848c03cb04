"""A private cluster with pg_net: the stand-in and its worker; `AUTOSYNC_TEST_REAL_PG_NET=1` asks for the real one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from autosync_db.local import installation
from autosync_db.local.cluster import Cluster
from tests.support import clusters

Row = dict[str, Any]
Connection = psycopg.Connection[Any]
# in the server, because one that fails at once is there for a few milliseconds each second
_NEW_WORKER = """
do $$
declare
    before integer;
    found integer;
begin
    loop
        perform pg_stat_clear_snapshot();
        select a.pid into found from pg_stat_activity as a
        where a.application_name like 'pg\\_net 0.20.4%' and a.usename = 'postgres';
        exit when found <> before;
        before := coalesce(before, found);
    end loop;
end
$$
"""


@dataclass(slots=True)
class NetServer:
    """A running cluster; `postgres` runs the worker without privileges, `supabase_admin` is superuser."""

    cluster: Cluster
    worker: ExitStack = field(default_factory=ExitStack)

    @property
    def real(self) -> bool:
        """Whether this is the real pg_net."""
        return not self.cluster.stand_in

    def connect(self, user: str = "postgres") -> Connection:
        """Open an autocommit connection as `user`."""
        return clusters.connect(self.cluster, user)

    def start_worker(self) -> None:
        """Start the stand-in's worker; the server itself runs the real one."""
        if not self.real:
            self.worker.enter_context(clusters.pg_net_worker(self.cluster))

    def response(self, connection: Connection, request: int) -> Row:
        """Wait for the response and return it, its text as bytes because it need not be valid."""

        def read() -> Row | None:
            cursor = connection.execute(
                "select id, status_code, content_type, headers, textsend(content) as content, timed_out, error_msg,"
                " created from net._http_response where id = %s",
                [request],
            )
            row = cursor.fetchone()
            return None if row is None else dict(zip([c.name for c in cursor.description or ()], row, strict=True))

        found = clusters.wait_for(read, "the response")
        assert found is not None
        return found

    def worker_pid(self, connection: Connection) -> int | None:
        """Return the worker's backend."""
        row = connection.execute(
            "select pid from pg_stat_activity where application_name like 'pg\\_net 0.20.4%' and usename = 'postgres'"
        ).fetchone()
        return None if row is None else int(row[0])

    def wait_for_new_worker(self, connection: Connection, *, times: int = 1) -> None:
        """Return when the worker has started again, so many times, even if none of them lives for long."""
        with connection.transaction():
            connection.execute("set local statement_timeout = '60s'")
            for _ in range(times):
                connection.execute(_NEW_WORKER)

    def restart_worker(self, admin: Connection) -> None:
        """Have the worker start again, and return when the new one is there."""
        before = clusters.wait_for(lambda: self.worker_pid(admin), "the worker")
        admin.execute("select net.worker_restart()")
        clusters.wait_for(lambda: self.worker_pid(admin) not in (None, before), "a new worker")

    @contextmanager
    def batch(self, connection: Connection) -> Iterator[None]:
        """Return from the block when the worker has run a batch that began after the block."""
        [(now,)] = connection.execute("select clock_timestamp()").fetchall()
        yield
        if self.real:
            time.sleep(2.5)  # its statements are not shown
            return
        clusters.wait_for(
            lambda: connection.execute(
                "select 1 from pg_stat_activity where application_name like 'pg\\_net %%' and query_start > %s"
                " and state = 'idle' and query in ('commit', 'rollback')",
                [now],
            ).fetchone(),
            "a batch",
        )

    def send_to_sleep(self, connection: Connection) -> None:
        """Return when the worker waits for a wake, and would not look by itself any more."""
        with self.batch(connection):
            connection.execute("select net.wake()")
        time.sleep(0.5)


@pytest.fixture(scope="session")
def net_server() -> Iterator[NetServer]:
    """A cluster with pg_net created and its worker running; `plain` is a role without any privilege."""
    if clusters.REAL_PG_NET and not installation.find().has_real_pg_net:
        pytest.skip("the real pg_net is not installed")
    with clusters.created(stand_in=not clusters.REAL_PG_NET) as made:
        server = NetServer(made)
        made.passwords["plain"] = made.passwords["postgres"]
        with server.connect("supabase_admin") as connection:
            connection.execute(f"create role plain nosuperuser login password '{made.passwords['plain']}'".encode())
            connection.execute("create extension pg_net")
        with server.worker:
            server.start_worker()
            with server.connect() as connection:
                connection.execute("set statement_timeout = '20s'")
                connection.execute("select net.wait_until_running()")
            yield server


@pytest.fixture
def db(net_server: NetServer) -> Iterator[Connection]:
    """A connection of the role `postgres` to tables without rows."""
    with net_server.connect() as connection:
        connection.execute("truncate net.http_request_queue, net._http_response")
        yield connection


@pytest.fixture
def admin(net_server: NetServer) -> Iterator[Connection]:
    """A connection of the superuser; pg_net's settings and the worker are restored afterwards."""
    with net_server.connect("supabase_admin") as connection:
        yield connection
        connection.rollback()
        connection.execute("drop function if exists public.refuse() cascade")
        if connection.execute("select 1 from pg_file_settings where sourcefile ~ 'auto.conf'").fetchone() is None:
            return
        connection.execute("alter system reset all")
        connection.execute("truncate net.http_request_queue")
        connection.execute("select net.worker_restart()")
        if net_server.real:
            time.sleep(1.2)  # one that crashes in a loop shows no stable process to wait for
        clusters.wait_for(lambda: net_server.worker_pid(connection), "the worker")


def ask(connection: Connection, query: str, *values: object) -> Any:
    """Return the first column of the only row."""
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]
