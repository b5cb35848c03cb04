"""The settings by which the server reads and writes texts, at their defaults: a role or a database may have others.

Definitions are compared in the server's own writing, and a backslash in our statements must mean itself. They are set
in each transaction where that matters, because a session may be a pooler's. A statement in the same message as these
settings is split into words before they take effect: in such a statement a backslash may stand only in E''.
"""

from typing import Any

import psycopg
from psycopg.types import datetime as times

SETTINGS = {
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "intervalstyle": "postgres",
    "datestyle": "ISO, MDY",
}
STATEMENTS = "\n".join(f"set local {name} = '{value}';" for name, value in SETTINGS.items())
CALLS = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in SETTINGS.items())


class _Date(times.DateLoader):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._order = self._ORDER_YMD


class _Timestamp(times.TimestampLoader):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._order = self._ORDER_YMD
        self._re_format = times.TimestampLoader._re_format


class _Moment(times.TimestamptzLoader):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._load_method = self._load_iso


class _Interval(times.IntervalLoader):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._load_method = self._load_postgres


def read_times(connection: psycopg.Connection[Any]) -> None:
    """Read times as each transaction of ours writes them (names.PIN), whatever the session says of itself.

    psycopg goes by what the session has outside of transactions, and cannot read most of the other styles.
    """
    said = {name: connection.info.parameter_status(name) or "" for name in ("DateStyle", "IntervalStyle")}
    if said["DateStyle"].startswith("ISO") and said["IntervalStyle"] == "postgres":
        return
    connection.adapters.register_loader("date", _Date)
    connection.adapters.register_loader("timestamp", _Timestamp)
    connection.adapters.register_loader("timestamptz", _Moment)
    connection.adapters.register_loader("interval", _Interval)
