"""Rows of autosync.setting: what was chosen for a database or noted about it, an object of JSON under a name."""

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from autosync_db.connection import Connection, value

_ADD = "insert into autosync.setting (name, value) values (%s, '{}') on conflict (name) do nothing"
_LOCK = "select s.value from autosync.setting as s where s.name = %s for no key update"
_PUT = """
    insert into autosync.setting as s (name, value) values (%s, %s)
    on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp()
    where s.value <> excluded.value
"""
_MERGE = """
    insert into autosync.setting as s (name, value) values (%s, %s)
    on conflict (name) do update set value = s.value || excluded.value, updated_at = clock_timestamp()
"""


def get(connection: Connection, name: str) -> Any:
    """Return a row's value, None where there is none. The table has to be there."""
    return value(connection, "select s.value from autosync.setting as s where s.name = %s", [name])


def locked(connection: Connection, name: str) -> dict[str, Any]:
    """Return a row's value, and lock the row until the transaction ends; one that is not there is made empty."""
    # a row that is not there cannot be locked
    connection.execute(_ADD, [name])
    return dict(value(connection, _LOCK, [name]))


def put(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Let a row be these values."""
    connection.execute(_PUT, [name, Jsonb(values)])


def merge(connection: Connection, name: str, values: Mapping[str, Any]) -> None:
    """Add values to a row; its others stay."""
    connection.execute(_MERGE, [name, Jsonb(values)])
