"""A session that parses and plans a long statement once, however often it is run.

Tests look at a database some thousand times; parsing and planning the one statement of all checks takes longer than
running it. The server plans it again by itself when an object that it reads has changed.
"""

import hashlib
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import Params
from psycopg.sql import SQL, Composed

from autosync_db.local.cluster import Cluster

R = TypeVar("R")
Query = bytes | str | SQL | Composed
LONG = 20_000
MOST = 3


class Planned(psycopg.Connection[R]):
    """A session on which long statements without parameters are prepared."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._prepared_looks: list[bytes] = []

    @classmethod
    def open(cls, cluster: Cluster, role: str) -> Self:
        """Return an autocommit session of `role`."""
        # psycopg forgets what it prepared at each rollback, and then the server forgets what we did
        return cls.connect(cluster.url(role).reveal(), autocommit=True, prepare_threshold=None)

    def execute(  # type: ignore[override]  # nothing here uses the overload for templates
        self, query: Query, params: Params | None = None, *, prepare: bool | None = None, binary: bool = False
    ) -> psycopg.Cursor[R]:
        """Run a statement."""
        query = self.as_run(query)
        if isinstance(query, bytes) and len(query) > LONG and query.startswith(b"with ") and params is None:
            query = b"execute " + self._prepared_look(query)
        return super().execute(query, params, prepare=prepare, binary=binary)

    def as_run(self, query: Query) -> Query:
        """Return what is run in the place of a statement."""
        return query

    def _prepared_look(self, query: bytes) -> bytes:
        """Return the name under which the statement is prepared."""
        name = b"look_" + hashlib.md5(query, usedforsecurity=False).hexdigest().encode()
        if name not in self._prepared_looks:
            super().execute(b"prepare " + name + b" as " + query)
            self._prepared_looks.append(name)
        # a plan takes some twenty megabytes
        if len(self._prepared_looks) > MOST:
            super().execute(b"deallocate " + self._prepared_looks.pop(0))
        return name
