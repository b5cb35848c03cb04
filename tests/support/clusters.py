"""Private database clusters for tests: created once, then copied as files, which takes a fraction of a second."""

import base64
import dataclasses
import fcntl
import hashlib
import hmac
import os
import pickle
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from autosync_db.local import cluster as clusters
from autosync_db.local.cluster import Cluster
from autosync_db.local.pg_net.worker import Worker
from autosync_db.secret import Secret

T = TypeVar("T")
# a file system in memory: a cluster is a thousand files, and copying them on a disk took a third of the suite's CPU
_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 4 * 2**30
Row = tuple[Any, ...]
# the clusters of this process by their folders, and the folders of those that were made since the list was emptied
RUNNING: dict[Path, Cluster] = {}
MADE: list[Path] = []
# where the processes of a run keep the clusters that all of them copy
TEMPLATES = "AUTOSYNC_TEST_TEMPLATES"
REAL_PG_NET = os.environ.get("AUTOSYNC_TEST_REAL_PG_NET") == "1"


def new_folder() -> Path:
    """Return a new folder that the server's unprivileged user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="autosync-test-", dir=_MEMORY if _has_room(_MEMORY) else None))
    folder.chmod(0o711)
    return folder


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder that the server's unprivileged user may enter, and delete it afterwards."""
    folder = new_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    """Return whether a folder may hold clusters and their programs."""
    if "TMPDIR" in os.environ or not os.access(folder, os.W_OK):
        return False
    found = os.statvfs(folder)
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize > _ENOUGH_BYTES


def template(name: str, prepare: Callable[[Cluster], None], source: Cluster | None = None, **options: Any) -> Cluster:
    """Return a stopped cluster that only copies are run of; the first process to need it makes it for all others.

    It is a copy of `source`, or a new one with options as for autosync_db.local.cluster.create, after `prepare`.
    """
    home = Path(os.environ[TEMPLATES])
    with (home / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        description = home / f"{name}.cluster"
        if description.exists():
            found: Cluster = pickle.loads(description.read_bytes())
            return found
        shutil.rmtree(home / name, ignore_errors=True)  # of a process that failed here
        made = _created(home / name, **options) if source is None else _copied(source, home / name)
        try:
            prepare(made)
        finally:
            made.stop()
        description.touch(mode=0o600)  # its passwords
        description.write_bytes(pickle.dumps(made))
        return made


@contextmanager
def created(**options: Any) -> Iterator[Cluster]:
    """Yield a new running cluster; options as for autosync_db.local.cluster.create."""
    with scratch_folder() as folder:
        made = _created(folder / "cluster", **options)
        with _registered(made):
            yield made


def _created(folder: Path, **options: Any) -> Cluster:
    made = clusters.create(folder, durable=False, **options)
    with connect(made, clusters.SUPERUSER) as connection:
        for role, password in made.passwords.items():
            connection.execute(f"alter role {role} password '{_verifier(password)}'".encode())
    return made


def _verifier(password: str) -> str:
    """Return what a server keeps of a password, hashed once: 4096 times took a third of each connection's CPU."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    shown = [base64.b64encode(part).decode() for part in (salt, hashlib.sha256(client).digest(), server)]
    return "SCRAM-SHA-256$1:{}${}:{}".format(*shown)


@contextmanager
def cloned(source: Cluster) -> Iterator[Cluster]:
    """Yield a running copy of a stopped cluster."""
    with scratch_folder() as folder, _registered(_copied(source, folder / "cluster")) as copy:
        yield copy


@contextmanager
def _registered(cluster: Cluster) -> Iterator[Cluster]:
    RUNNING[cluster.folder] = cluster
    MADE.append(cluster.folder)
    try:
        yield cluster
    finally:
        del RUNNING[cluster.folder]
        cluster.stop("immediate")


def _copied(source: Cluster, folder: Path) -> Cluster:
    copy = prepared(source, folder)
    subprocess.run(["cp", "-a", str(source.data), str(copy.data)], check=True)  # its owner, too
    if not copy.stand_in:
        # the server runs the real worker itself: it sends nothing until pg_net_worker() lets it
        with (copy.data / "postgresql.auto.conf").open("a") as settings:
            settings.write("pg_net.batch_size = 0\n")
    copy.start()
    return copy


def prepared(source: Cluster, target: Path) -> Cluster:
    """Return a cluster like another in a new folder, which has all but its data."""
    target.mkdir(mode=0o700)
    (target / "install").symlink_to(source.folder / "install")
    for name in ("extensions", "pgpass"):
        subprocess.run(["cp", "-a", str(source.folder / name), str(target / name)], check=True)
    clusters.give_to_server(target)
    return dataclasses.replace(source, folder=target, port=clusters.free_port())


def keep_quiet(cluster: Cluster) -> None:
    """Let the next tick be almost an hour away: an unasked one would come between the steps of a test."""
    minute = (time.gmtime().tm_min + 55) % 60
    with connect(cluster, "supabase_admin") as connection:
        connection.execute("update autosync.job set schedule = %s", [f"{minute} * * * *"])
        connection.execute("update cron.job set schedule = %s, nodeport = %s", [f"{minute} * * * *", cluster.port])


def connect(cluster: Cluster, role: str = "postgres") -> psycopg.Connection[Row]:
    """Return an autocommit connection as `role`."""
    return psycopg.connect(cluster.url(role).reveal(), autocommit=True)


@contextmanager
def connection(
    cluster: Cluster, role: str = "postgres", *, database: str = "postgres", **options: Any
) -> Iterator[psycopg.Connection[Row]]:
    """Yield an autocommit connection as `role` that ends with the block; options as for psycopg.connect."""
    # closed as it is: what was left open is rolled back, and the server may have ended it already
    with closing(psycopg.connect(cluster.url(role, database).reveal(), autocommit=True, **options)) as opened:
        yield opened


def url(cluster: Cluster, role: str = "postgres") -> Secret:
    """Return the URL of `role`."""
    return cluster.url(role)


def wait_for(look: Callable[[], T], what: str, patience: float = 20) -> T:
    """Return the first true value of `look()`; fail naming `what` when there is none in `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:g} s in vain for {what}")
        time.sleep(0.02)
    return found


@contextmanager
def pg_net_worker(cluster: Cluster) -> Iterator[None]:
    """Let requests be sent: by the stand-in's worker in a thread, or by the real one, which waits in the cluster."""
    if not cluster.stand_in:
        _set_batch_size(cluster, 200)
        try:
            yield
        finally:
            _set_batch_size(cluster, 0)
        return
    worker = Worker(cluster.url().reveal())
    thread = threading.Thread(target=worker.run, name="pg_net worker", daemon=True)
    thread.start()
    try:
        with connect(cluster, "supabase_admin") as connection:
            wait_for(
                lambda: connection.execute(
                    "select 1 from pg_stat_activity where application_name like 'pg\\_net %'"
                ).fetchone(),
                "the stand-in's worker",
            )
        yield
    finally:
        worker.stop()
        thread.join(timeout=20)
        assert not thread.is_alive(), "the worker did not end"


def _set_batch_size(cluster: Cluster, size: int) -> None:
    if not cluster.is_running():
        return
    with connect(cluster, "supabase_admin") as connection:
        if connection.execute("select current_setting('shared_preload_libraries') ~ 'pg_net'").fetchone() != (True,):
            return  # a test has taken the library away
        connection.execute(f"alter system set pg_net.batch_size = {size:d}".encode())
        connection.execute("select pg_reload_conf()")
        if connection.execute("select to_regprocedure('net.worker_restart()') is not null").fetchone() == (True,):
            before = connection.execute("select clock_timestamp() from net.worker_restart()").fetchone()
            # one that is to send must be there; one that is not may be kept away by what a test broke
            if size:
                wait_for(lambda: _has_worker_since(connection, before), "the worker of pg_net")


def wait_for_real_worker(cluster: Cluster) -> None:
    """Return when the worker of the real pg_net, which comes with the server, is connected."""
    with connect(cluster, "supabase_admin") as connection:
        wait_for(lambda: _has_worker_since(connection, ("-infinity",)), "the worker of pg_net")


def _has_worker_since(connection: psycopg.Connection[Row], moment: Row | None) -> bool:
    found = connection.execute(
        "select 1 from pg_stat_activity where application_name like 'pg\\_net %%' and backend_start > %s", moment
    )
    return found.fetchone() is not None
