"""What the application's own tables must allow, and what follows when they do not (docs/guides/isolation.md)."""

import psycopg
import pytest

from tests.schema.isolation.conftest import ORGANIZATIONS, UNSCHEDULED, Mode, World, asked_as, outcome
from tests.support import clusters

TABLES: dict[Mode, str] = {"owner": "device_integrations", "organization": "users"}
INSERT = "insert into public.auto_sync_schedules (integration_id, organization_id) values (%s, %s)"


@pytest.mark.parametrize("mode", TABLES)
def test_without_the_grant_the_error_names_the_applications_table(mode: Mode, fresh: World) -> None:
    fresh.switch(mode)
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(f"revoke select on public.{TABLES[mode]} from authenticated".encode())
    with (
        asked_as(fresh.cluster, "user_1") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"permission denied for table {TABLES[mode]}"),
    ):
        connection.execute("select * from public.auto_sync_schedules")
    with asked_as(fresh.cluster, "service_role") as connection:
        assert outcome(connection, "select * from public.auto_sync_schedules") == "2"


@pytest.mark.parametrize(("mode", "columns"), [("owner", "id, user_id"), ("organization", "id, organization_id")])
def test_a_grant_of_the_two_columns_is_enough(mode: Mode, columns: str, fresh: World) -> None:
    fresh.switch(mode)
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(f"revoke select on public.{TABLES[mode]} from authenticated".encode())
        connection.execute("drop policy device_integrations_owner on public.device_integrations")
        connection.execute("alter table public.device_integrations disable row level security")
        connection.execute(f"grant select ({columns}) on public.{TABLES[mode]} to authenticated".encode())
    with asked_as(fresh.cluster, "user_1") as connection:
        assert outcome(connection, "select * from public.auto_sync_schedules") == "1"


@pytest.mark.parametrize("mode", TABLES)
def test_rows_that_the_application_hides_hide_their_schedules(mode: Mode, fresh: World) -> None:
    fresh.switch(mode)
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(
            "drop policy users_self on public.users;drop policy device_integrations_owner on public.device_integrations"
        )
    with asked_as(fresh.cluster, "user_1") as connection:
        assert outcome(connection, "select * from public.auto_sync_schedules") == "0"
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match='policy for table "auto_sync_schedules"'):
            connection.execute(INSERT, [UNSCHEDULED["user_1"], ORGANIZATIONS["user_1"]])


def test_a_foreign_key_of_both_ids_ties_integration_and_organization(fresh: World) -> None:
    """Mode owner judges by one id; the application's foreign key makes the other follow it."""
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(
            "alter table public.device_integrations add unique (id, organization_id);"
            "alter table public.auto_sync_schedules add foreign key (integration_id, organization_id)"
            " references public.device_integrations (id, organization_id) on delete cascade"
        )
    refused: type[psycopg.Error]
    for mode, foreign, refused in (
        ("organization", [UNSCHEDULED["user_2"], ORGANIZATIONS["user_1"]], psycopg.errors.InsufficientPrivilege),
        ("owner", [UNSCHEDULED["user_1"], ORGANIZATIONS["user_2"]], psycopg.errors.ForeignKeyViolation),
    ):
        fresh.switch(mode)  # type: ignore[arg-type]
        with asked_as(fresh.cluster, "user_1") as connection:
            own = outcome(
                connection, INSERT.replace("%s, %s", f"'{UNSCHEDULED['user_1']}', '{ORGANIZATIONS['user_1']}'")
            )
            assert own == "1"
        with asked_as(fresh.cluster, "user_1") as connection, pytest.raises(refused):
            connection.execute(INSERT, foreign)


def test_a_user_of_two_organizations_sees_both(fresh: World) -> None:
    fresh.switch("organization")
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(
            "create table public.members (user_id uuid, organization_id uuid);"
            "grant select on public.members to authenticated;"
            "insert into public.members select u.id, o.organization_id from public.users as u, public.users as o"
            " where right(u.id::text, 1) = '1'"
        )
    fresh.switch("organization", membership_table="public.members", membership_user_column="user_id")
    for user, seen in (("user_1", "2"), ("user_2", "0")):
        with asked_as(fresh.cluster, user) as connection:
            assert outcome(connection, "select * from public.auto_sync_schedules") == seen


def test_a_column_that_the_policy_reads_stays_until_the_mode_is_none(fresh: World) -> None:
    fresh.switch("owner")
    statement = "alter table public.device_integrations drop column user_id"
    with clusters.connect(fresh.cluster) as connection:
        connection.execute("drop policy device_integrations_owner on public.device_integrations")
        with pytest.raises(psycopg.errors.DependentObjectsStillExist) as refused:
            connection.execute(statement.encode())
        assert "auto_sync_schedules_owner" in str(refused.value.diag.message_detail)
        fresh.switch("none")
        connection.execute(statement.encode())


def test_the_schema_of_the_table_may_stay_closed(fresh: World) -> None:
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(
            "create schema app; create table app.members (id uuid, organization_id uuid);"
            "grant select on app.members to authenticated;"
            "insert into app.members select id, organization_id from public.users"
        )
    fresh.switch("organization", membership_table="app.members")
    with asked_as(fresh.cluster, "user_1") as connection:
        assert outcome(connection, "select * from public.auto_sync_schedules") == "1"
        assert outcome(connection, "select * from app.members") == "denied"
