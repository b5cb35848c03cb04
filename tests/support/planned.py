"""A session that parses and plans a long text of statements once, however often it is run.

Tests look at a database some thousand times; parsing and planning the statements of all checks takes longer than
running them. The server plans one again by itself when an object that it reads has changed.
"""

import hashlib
import re
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
    """A session on which the statements of long texts without parameters are prepared."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # the names of the statements of each text
        self._prepared_looks: dict[bytes, list[bytes]] = {}

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
            query = b"; ".join(b"execute " + name for name in self._prepared_look(query))
        return super().execute(query, params, prepare=prepare, binary=binary)

    def as_run(self, query: Query) -> Query:
        """Return what is run in the place of a statement."""
        return query

    def _prepared_look(self, query: bytes) -> list[bytes]:
        """Return the names under which the statements of a text are prepared."""
        look = hashlib.md5(query, usedforsecurity=False).hexdigest().encode()
        # it is the newest now; one that could not be prepared is tried again
        names = self._prepared_looks[look] = self._prepared_looks.pop(look, [])
        # as verify puts together what composer.statements() returns
        for number, statement in enumerate(re.split(rb";\n(?=with chosen_jobs )", query)):
            if number == len(names):
                name = b"look_%s_%d" % (look, number)
                super().execute(b"prepare " + name + b" as " + statement)
                names.append(name)
        # the plans of a look take some twenty megabytes
        if len(self._prepared_looks) > MOST:
            for name in self._prepared_looks.pop(next(iter(self._prepared_looks))):
                super().execute(b"deallocate " + name)
        return names
