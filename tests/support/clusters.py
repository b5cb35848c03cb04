"""Private database clusters for tests: created once, then copied as files, which takes a fraction of a second."""

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from autosync_db.local import cluster as clusters
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret

T = TypeVar("T")
Row = tuple[Any, ...]
REAL_PG_NET = os.environ.get("AUTOSYNC_TEST_REAL_PG_NET") == "1"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder that the server's unprivileged user may enter, and delete it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="autosync-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def created(**options: Any) -> Iterator[Cluster]:
    """Yield a new running cluster; options as for autosync_db.local.cluster.create."""
    with scratch_folder() as folder:
        made = clusters.create(folder / "cluster", durable=False, **options)
        try:
            yield made
        finally:
            made.stop("immediate")


@contextmanager
def cloned(source: Cluster) -> Iterator[Cluster]:
    """Yield a running copy of a stopped cluster."""
    with scratch_folder() as folder:
        target = folder / "cluster"
        target.mkdir(mode=0o700)
        (target / "install").symlink_to(source.folder / "install")
        for name in ("data", "extensions", "pgpass"):
            subprocess.run(["cp", "-a", str(source.folder / name), str(target / name)], check=True)
        clusters.give_to_server(target)
        copy = dataclasses.replace(source, folder=target, port=clusters.free_port())
        copy.start()
        try:
            yield copy
        finally:
            copy.stop("immediate")


def connect(cluster: Cluster, role: str = "postgres") -> psycopg.Connection[Row]:
    """Return an autocommit connection as `role`."""
    return psycopg.connect(cluster.url(role).reveal(), autocommit=True)


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
    """Run the stand-in's worker beside a cluster; with the real pg_net the server runs its own."""
    if not cluster.stand_in:
        yield
        return
    worker = subprocess.Popen(
        [sys.executable, "-m", "autosync_db.local.pg_net_worker"],
        env={**os.environ, **cluster.environment("postgres")},
        stderr=(cluster.folder / "pg_net.log").open("ab"),
    )
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
        worker.terminate()
        worker.wait(timeout=10)
