"""A statement that waits at a chosen line of a function while somebody else commits."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from autosync_db.local.cluster import Cluster
from tests.support import clusters

_LOCK = 20261124
# what stands for, or before, the line
HOLDS_UP = f"pg_advisory_xact_lock_shared({_LOCK})"


@contextmanager
def held_up(
    cluster: Cluster, place: tuple[str, str, str], statement: str, look: str
) -> Iterator[list[tuple[Any, ...]]]:
    """Run a statement that waits during the block; it is rolled back then.

    `place`: a function of the schema autosync, a line of it, and what stands for that line. Afterwards the list has
    what `look` found in the statement's transaction, or the text of its error.
    """
    function, line, instead = place
    found: list[tuple[Any, ...]] = []

    def run() -> None:
        with clusters.connect(cluster) as other:
            other.execute("begin")
            [(source,)] = other.execute(
                f"select pg_get_functiondef('autosync.{function}'::regprocedure)".encode()
            ).fetchall()
            assert source.count(line) == 1
            other.execute(source.replace(line, instead).encode())
            try:
                other.execute(statement.encode())
                found.extend(other.execute(look.encode()).fetchall())
            except psycopg.Error as error:
                found.append((str(error),))
            other.execute("rollback")

    waiting = b"select count(*) from pg_locks where locktype = 'advisory' and objid = %s and not granted"
    with clusters.connect(cluster) as holder, clusters.connect(cluster) as looker:
        holder.execute("select pg_advisory_lock(%s)", [_LOCK])
        running = threading.Thread(target=run)
        running.start()
        clusters.wait_for(
            lambda: not running.is_alive() or looker.execute(waiting, [_LOCK]).fetchall() == [(1,)],
            "the statement that is held up, or has ended",
        )
        yield found
    running.join(30)
