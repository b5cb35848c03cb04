"""Private servers for what is measured: alike, without autovacuum, and ready to be filled past the triggers."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any

import psycopg

from autosync_db.local import cluster
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.support import clusters, keys

Db = psycopg.Connection[Any]
_SETTINGS = """\
autovacuum = off
shared_buffers = 512MB
maintenance_work_mem = 256MB
max_wal_size = 8GB
checkpoint_timeout = 1h
wal_level = minimal
max_wal_senders = 0
"""


@contextmanager
def migrated(*, durable: bool = False) -> Iterator[Cluster]:
    """Yield a server at head on a disk; a durable one waits for the disk at each commit, as a real one does.

    Its passwords are hashed as often as any server's: a tick pays for its connection.
    """
    with tempfile.TemporaryDirectory(prefix="autosync-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = cluster.create(folder / "cluster", durable=durable)
        try:
            (server.data / "conf.d" / "benchmark.conf").write_text(_SETTINGS)
            cluster.give_to_server(server.data / "conf.d")
            server.stop()
            server.start()
            migrate.upgrade(server.url())
            yield server
        finally:
            server.stop("immediate")


@contextmanager
def administrator(server: Cluster) -> Iterator[Db]:
    """Yield a superuser's connection that no trigger of a table sees."""
    with clusters.connection(server, cluster.SUPERUSER) as admin:
        admin.execute("set session_replication_role = replica")
        yield admin


def bind(server: Cluster) -> None:
    """Give the database what a set-up hosted project has: address, key and the project that it is bound to."""
    ref = "".join(SystemRandom().choices(string.ascii_lowercase, k=20))
    with clusters.connection(server) as owner:
        secrets = {"project_url": f"https://{ref}.supabase.co", "service_role_key": keys.secret().reveal()}
        for name, secret in secrets.items():
            owner.execute("insert into public.pg_cron_secrets (name, secret) values (%s, %s)", [name, secret])
        owner.execute(
            "insert into autosync.setting (name, value)"
            " select 'binding', autosync.server_identity() || jsonb_build_object('project_ref', cast(%s as text))",
            [ref],
        )


def used_milliseconds(session: Db) -> float:
    """Return the milliseconds that the session's process has had of a processor; other load hardly changes them."""
    # the first number is nanoseconds, since the process was made
    [used, *_] = Path(f"/proc/{session.info.backend_pid}/schedstat").read_text().split()
    return int(used) / 1e6
