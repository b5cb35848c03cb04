"""Schedules as rows: added, changed and looked at one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

Connect = Callable[..., psycopg.Connection[Any]]

TABLE = "public.auto_sync_schedules"


def add(connection: psycopg.Connection[Any], **columns: Any) -> Any:
    """Insert one schedule and return its id."""
    names = ["integration_id", "organization_id", *columns]
    values = ["gen_random_uuid()", "gen_random_uuid()", *["%s"] * len(columns)]
    row = connection.execute(
        f"insert into {TABLE} ({', '.join(names)}) values ({', '.join(values)}) returning id",
        list(columns.values()),
    ).fetchone()
    assert row is not None
    return row[0]


def put(connection: psycopg.Connection[Any], schedule_id: Any, assignment: str, *values: Any) -> None:
    connection.execute(f"update {TABLE} set {assignment} where id = %s", [*values, schedule_id])


def look(connection: psycopg.Connection[Any], schedule_id: Any, expression: str = "next_run_at") -> Any:
    row = connection.execute(f"select {expression} from {TABLE} where id = %s", [schedule_id]).fetchone()
    assert row is not None
    return row[0]


def api_user(connection: psycopg.Connection[Any], user: str) -> None:
    """Become a signed-in user, who has the table's grants and whom a policy lets pass."""
    connection.execute("set role postgres")
    connection.execute(f"grant select, insert, update, delete on {TABLE} to authenticated")
    connection.execute(f"create policy everybody on {TABLE} to authenticated using (true)")
    connection.execute(
        "select set_config('request.jwt.claims', json_build_object('sub', %s::text)::text, true)", [user]
    )
    connection.execute("set local role authenticated")
