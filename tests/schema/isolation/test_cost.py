"""auth.uid() is asked once per statement, however many schedules a user has."""

import json

import psycopg
import pytest

from tests.schema.isolation.conftest import ORGANIZATIONS, USERS, Connection, Mode, World, become
from tests.support import clusters

# Above this a call per row would show; the policy of an update is asked twice, before and after.
ROWS = 1000
STATEMENTS = {
    "select count(*) from public.auto_sync_schedules": 1,
    "update public.auto_sync_schedules set only_online = false": 2,
    "delete from public.auto_sync_schedules": 1,
}
MODES: tuple[Mode, ...] = ("owner", "organization")


def _calls(world: World, statement: str, before: str = "select") -> int:
    """Return how often auth.uid() was called by a statement of user 1, who has ROWS + 1 schedules."""
    with psycopg.connect(world.cluster.url("supabase_admin").reveal()) as connection:
        try:
            connection.execute("set local track_functions = 'all'")
            connection.execute(before.encode())
            become(connection, "user_1")
            assert connection.execute(statement.encode()).rowcount in (1, ROWS + 1)
            connection.execute("reset role")
            row = connection.execute(
                "select coalesce(sum(calls), 0) from pg_stat_xact_user_functions"
                " where schemaname = 'auth' and funcname = 'uid'"
            ).fetchone()
        finally:
            connection.rollback()
    assert row is not None
    return int(row[0])


@pytest.fixture
def crowded(fresh: World) -> World:
    """A world in which user 1 has many schedules."""
    # the application's own policy must not be what is measured
    with clusters.connect(fresh.cluster) as connection:
        connection.execute("alter table public.users disable row level security")
        connection.execute("alter table public.device_integrations disable row level security")
        connection.execute(
            "with i as (insert into public.device_integrations"
            " select gen_random_uuid(), %s, %s from generate_series(1, %s) returning id, organization_id)"
            " insert into public.auto_sync_schedules (integration_id, organization_id, enabled)"
            " select id, organization_id, true from i",
            [USERS["user_1"], ORGANIZATIONS["user_1"], ROWS],
        )
        connection.execute("analyze")
    return fresh


def test_the_policies_call_auth_uid_once_per_statement(crowded: World) -> None:
    for mode in MODES:
        crowded.switch(mode)
        for statement, calls in STATEMENTS.items():
            assert _calls(crowded, statement) == calls, (mode, statement)
            assert "InitPlan" in _plan(crowded, statement), (mode, statement)


def test_the_count_sees_a_call_per_row(crowded: World) -> None:
    crowded.switch("owner")
    per_row = (
        "update public.auto_sync_schedules set created_by = '{}';"
        " drop policy auto_sync_schedules_owner on public.auto_sync_schedules;"
        " create policy p on public.auto_sync_schedules to authenticated"
        " using (coalesce(created_by, id) = auth.uid() or organization_id = '{}')"
    ).format(USERS["user_2"], ORGANIZATIONS["user_1"])
    assert _calls(crowded, "select count(*) from public.auto_sync_schedules", per_row) > ROWS


def _plan(world: World, statement: str) -> str:
    with psycopg.connect(world.cluster.url("authenticator").reveal()) as connection:
        become(connection, "user_1")
        rows = _explained(connection, statement)
        connection.rollback()
    return json.dumps(rows)


def _explained(connection: Connection, statement: str) -> object:
    row = connection.execute(f"explain (format json) {statement}".encode()).fetchone()
    assert row is not None
    return row[0]
