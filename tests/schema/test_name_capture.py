"""Whoever may create temporary objects must not get code of theirs run with the owner's rights."""

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters

# types are looked up in pg_temp first, even with an empty search_path, unless pg_temp stands at its end
TYPES = ("timestamptz", "text", "uuid", "jsonb", "name", "date")


def _capture(connection: psycopg.Connection[clusters.Row]) -> None:
    connection.execute(
        "create function pg_temp.caught(name pg_catalog.text) returns pg_catalog.bool language plpgsql as"
        " $$ begin raise exception 'caught % as %', name, current_user; end $$"
    )
    for name in TYPES:
        connection.execute(
            f"create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.caught('{name}'))".encode()
        )


@pytest.mark.parametrize(
    "call",
    [
        "select count(*) from public.auto_sync_claim(1)",
        "select public.auto_sync_complete(pg_catalog.gen_random_uuid(), 'success')",
        "insert into public.auto_sync_schedules (integration_id, organization_id, enabled, timezone,"
        " time_window_enabled, time_window_start, time_window_end)"
        " values (gen_random_uuid(), gen_random_uuid(), true, 'Europe/Paris', true, '08:00', '18:00')",
        "update public.auto_sync_schedules set last_run_at = now()",
    ],
)
def test_types_of_the_caller_are_not_used(call: str, migrated: Cluster) -> None:
    with clusters.connect(migrated) as owner:
        owner.execute(
            "insert into public.auto_sync_schedules (integration_id, organization_id, enabled)"
            " values (gen_random_uuid(), gen_random_uuid(), true)"
        )
    with clusters.connect(migrated, "authenticator") as connection:
        connection.execute("set role service_role")
        _capture(connection)
        refusal = ""
        try:
            connection.execute(call.encode())
        except psycopg.Error as error:
            refusal = str(error)
        # the caller's own statement may fail over its own types; ours must not have run them as the owner
        assert "as postgres" not in refusal


def test_the_trap_is_sprung_by_an_empty_path(migrated: Cluster) -> None:
    with clusters.connect(migrated) as owner:
        owner.execute(
            "insert into public.auto_sync_schedules (integration_id, enabled) values (gen_random_uuid(), true);"
            "alter function autosync.set_next_run_at() set search_path = ''"
        )
    with clusters.connect(migrated, "authenticator") as connection:
        connection.execute("set role service_role")
        _capture(connection)
        with pytest.raises(psycopg.Error, match="as postgres"):
            connection.execute("update public.auto_sync_schedules set last_run_at = pg_catalog.now()")
