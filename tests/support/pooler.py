"""pgbouncer before a cluster, as Supabase puts a pooler before its databases: on a loopback port, no superuser's."""

import dataclasses
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Literal

import psycopg

from autosync_db.local import cluster as private
from autosync_db.local.cluster import Cluster
from tests.support import clusters, tools

Mode = Literal["session", "transaction"]
POOL_SIZE = 2
# what a transaction could leave behind for somebody else's; some settings pgbouncer itself keeps per client
_LEFT = """
select 'setting ' || s.name || ' = ' || s.setting from pg_settings as s
where s.source = 'session'
    and s.name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')
union all
select 'prepared statement ' || p.statement from pg_prepared_statements as p
union all
select 'temporary table ' || c.relname from pg_class as c where c.oid::regclass::text like 'pg_temp%'
    or c.relnamespace = pg_my_temp_schema()
union all
select 'channel ' || l from pg_listening_channels() as l
union all
select 'advisory lock' from pg_locks as k where k.locktype = 'advisory' and k.pid = pg_backend_pid()
"""


@contextmanager
def that_refuses(text: str) -> Iterator[int]:
    """Yield the port of a pooler that answers every client with this error."""
    fields = b"SFATAL\0VFATAL\0C08006\0M" + text.encode() + b"\0\0"

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    # a request for TLS is eight bytes long and is declined
                    if len(client.recv(4096)) == 8:
                        client.sendall(b"N")
                        client.recv(4096)
                    client.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

    with socket.create_server((private.HOST, 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def before(cluster: Cluster, mode: Mode, size: int = POOL_SIZE) -> Iterator[Cluster]:
    """Yield `cluster` as it is reached through a pooler with `size` connections to it.

    In transaction mode statements outside of transactions alternate between the two, so that whoever relies on the
    state of a session is found out.
    """
    program = tools.pgbouncer()
    with clusters.scratch_folder() as folder:
        users = folder / "users.txt"
        users.touch(mode=0o600)
        users.write_text("".join(f'"{role}" "{password}"\n' for role, password in cluster.passwords.items()))
        pooled = dataclasses.replace(cluster, port=private.free_port())
        settings = {
            "listen_addr": private.HOST,
            "listen_port": pooled.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": users,
            "pool_mode": mode,
            "default_pool_size": size,
            "server_round_robin": 1,
            # a command that needs more connections than there are fails instead of hanging
            "query_wait_timeout": 20,
            # a server that was restarted is tried again at once
            "server_login_retry": 1,
            "logfile": folder / "pgbouncer.log",
        }
        if _version(str(program)) >= (1, 21):
            settings["max_prepared_statements"] = 0
        lines = [f"{name} = {value}" for name, value in settings.items()]
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            "\n".join(("[databases]", f"* = host={private.HOST} port={cluster.port}", "[pgbouncer]", *lines, ""))
        )
        private.give_to_server(folder)
        process = subprocess.Popen(
            [str(program), "--quiet", str(configuration)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
            **private.server_user(),
        )  # fmt: skip
        try:
            clusters.wait_for(lambda: _answers(pooled, process), "pgbouncer")
            assert leftovers(pooled) == []  # and both of its connections are open
            yield pooled
        finally:
            process.terminate()
            process.wait(timeout=10)


def leftovers(pooled: Cluster) -> list[str]:
    """Return what the sessions behind the pooler hold although nobody uses them."""
    found: list[str] = []
    with ExitStack() as stack:
        # a transaction each, so that each has a session of its own
        for _ in range(POOL_SIZE):
            connection = stack.enter_context(psycopg.connect(pooled.url().reveal(), prepare_threshold=None))
            found += [text for (text,) in connection.execute(_LEFT)]
    return found


def _answers(pooled: Cluster, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "pgbouncer ended"
    try:
        clusters.connect(pooled).close()
    except psycopg.OperationalError:
        return False
    return True


def _version(program: str) -> tuple[Any, ...]:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    assert found, said
    return tuple(map(int, found.groups()))
