"""Where a statement's names are looked up: in PostgreSQL alone, whatever the role's search_path says.

Whoever may create a schema named like the role, or something in `public`, would otherwise put a function, an operator
or a type before PostgreSQL's, which a statement of ours would run with the role's rights. The path is set in each
transaction: a session may be a pooler's. `pg_temp` is at its end, as it is searched first where it is not named.
A backslash of a text is set to be one there, too, and times are written as `spelling` reads them.
"""

from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import Composable

PIN = (
    b"set local search_path = pg_catalog, pg_temp; set local standard_conforming_strings = on;"
    b" set local datestyle = 'ISO, MDY'; set local intervalstyle = postgres"
)
# of a statement by itself, in which no more than that is waited for: anybody may lock pg_net's tables
ALONE = PIN + b"; set local lock_timeout = '5s'"

Row = TypeVar("Row")


class Pinned(psycopg.Cursor[Row]):
    """A cursor that pins the search_path of each transaction that it begins, by a statement of its own included."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> "Pinned[Row]":
        """Execute a statement. Outside a transaction one with parameters takes two round trips more."""
        connection = self.connection
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            super().execute(query, params, **options)
        elif params is None and not _is_misread(text := _text(query, connection), connection):
            # sent at once they are one transaction, and so is what a `begin` among them begins
            super().execute(ALONE + b";" + text, **options)
            for _ in range(ALONE.count(b";") + 1):
                self.nextset()
        else:
            super().execute(b"begin;" + ALONE)
            try:
                super().execute(query, params, **options)
                connection.commit()
            except BaseException:
                with suppress(psycopg.Error):
                    connection.rollback()
                raise
        return self


def _is_misread(text: bytes, connection: psycopg.Connection[Any]) -> bool:
    """Return whether the session takes a backslash for an escape: a message is read as words before any of it runs."""
    is_off = connection.info.parameter_status("standard_conforming_strings") == "off"
    return is_off and b"\\" in text and not text.lstrip().startswith(b"begin")


def _text(query: Any, connection: psycopg.Connection[Any]) -> bytes:
    if isinstance(query, Composable):
        return query.as_bytes(connection)
    return query if isinstance(query, bytes) else str(query).encode(connection.info.encoding)
