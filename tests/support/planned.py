"""A session that parses and plans a long statement once, however often it is run.

Tests look at a database some thousand times; parsing and planning the one statement of all checks takes longer than
running it. The server plans it again by itself when an object that it reads has changed.
"""

import hashlib
from typing import Self, TypeVar

import psycopg
from psycopg.abc import Params
from psycopg.sql import SQL, Composed

from autosync_db.local.cluster import Cluster

R = TypeVar("R")
LONG = 20_000
MOST = 3


class Planned(psycopg.Connection[R]):
    """A session on which long statements without parameters are prepared."""

    @classmethod
    def open(cls, cluster: Cluster, role: str) -> Self:
        """Return an autocommit session of `role`."""
        # psycopg forgets what it prepared at each rollback, and then the server forgets what we did
        return cls.connect(cluster.url(role).reveal(), autocommit=True, prepare_threshold=None)

    def execute(  # type: ignore[override]  # nothing here uses the overload for templates
        self,
        query: bytes | str | SQL | Composed,
        params: Params | None = None,
        *,
        prepare: bool | None = None,
        binary: bool = False,
    ) -> psycopg.Cursor[R]:
        """Run a statement."""
        if isinstance(query, bytes) and len(query) > LONG and query.startswith(b"with ") and params is None:
            name = b"look_" + hashlib.md5(query, usedforsecurity=False).hexdigest().encode()
            if name not in self._planned():
                super().execute(b"prepare " + name + b" as " + query)
                self._planned().append(name)
            # a plan takes some twenty megabytes
            if len(self._planned()) > MOST:
                super().execute(b"deallocate " + self._planned().pop(0))
            query = b"execute " + name
        return super().execute(query, params, prepare=prepare, binary=binary)

    def _planned(self) -> list[bytes]:
        found: list[bytes] = self.__dict__.setdefault("planned", [])
        return found
