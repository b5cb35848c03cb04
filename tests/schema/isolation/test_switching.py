"""Changing the mode of isolation by migration: one policy, the right grants, or a refusal that changes nothing."""

from pathlib import Path

import pytest

from autosync_db.config import IsolationSettings
from autosync_db.errors import MigrationError
from autosync_db.schedules.table import SETTABLE
from autosync_db.schema import migrate
from tests.schema.isolation.conftest import MODES, ORGANIZATIONS, SCHEDULED, USERS, Mode, World, asked_as, outcome
from tests.support import clusters, command

POLICIES = {
    "none": "auto_sync_schedules_nobody",
    "owner": "auto_sync_schedules_owner",
    "organization": "auto_sync_schedules_organization",
}
PATH = "sql/access/public.auto_sync_schedules.sql"


def test_every_way_into_a_mode_ends_in_the_same_policy_and_grants(world: World) -> None:
    first: dict[Mode, object] = {}
    before: Mode | None = None
    order: tuple[Mode, ...] = ("none", "owner", "organization", "owner", "none", "organization", "none")
    for mode in order:
        applied = world.switch(mode).objects
        assert before is None or applied == [PATH], (before, mode)
        access = world.access()
        assert [name for kind, name, _ in access if kind == "policy"] == [POLICIES[mode]], (before, mode)
        assert access == first.setdefault(mode, access), (before, mode)
        assert world.switch(mode).objects == []
        before = mode
    assert set(first) == set(MODES)


def test_both_default_privileges_end_in_the_same_access(closed_world: World, open_world: World) -> None:
    for mode in MODES:
        closed_world.switch(mode)
        open_world.switch(mode)
        assert closed_world.access() == open_world.access(), mode


def test_column_grants_are_exactly_the_settings(world: World) -> None:
    world.switch("organization")
    granted: dict[str, set[str]] = {}
    for column, grantee, privilege in world.access():
        if grantee == "authenticated" and column not in ("policy", "table"):
            granted.setdefault(privilege, set()).add(column)
    settable = {*SETTABLE, "created_by", "updated_by"}
    assert granted == {"INSERT": settable, "UPDATE": settable}
    tables = [(g, p) for kind, g, p in world.access() if kind == "table" and g != "postgres"]
    assert tables == [("authenticated", "DELETE"), ("authenticated", "SELECT")] + [
        ("service_role", privilege) for privilege in ("DELETE", "INSERT", "SELECT", "UPDATE")
    ]


def test_policies_and_grants_made_manually_go_away(fresh: World) -> None:
    fresh.switch("organization")
    expected = fresh.access()
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(
            'create policy "members may see" on public.auto_sync_schedules for select using (true);'
            "grant all on public.auto_sync_schedules to anon, authenticated;"
            "grant update (last_run_at) on public.auto_sync_schedules to authenticated"
        )
    assert fresh.access() != expected
    switched = fresh.switch("organization")
    assert switched.objects == [PATH]
    assert fresh.access() == expected
    # what is dropped is named, with the statement that makes it again where the project's own policies decide
    [warning] = switched.warnings
    assert 'the policy members may see of public.auto_sync_schedules is dropped: in the mode "organization"' in warning
    statement = warning.partition("migrate after: ")[2]
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(statement.encode())
    assert migrate.upgrade(fresh.cluster.url(), isolation=IsolationSettings(mode="custom")).warnings == []
    command.succeeds(command.run("migrate", "--check", database=fresh.cluster.url()))
    assert '"members may see"' in statement
    assert "members may see" in str(fresh.access())


@pytest.mark.parametrize("mode", ["none", "organization"])
def test_a_restrictive_policy_of_the_project_stays_for_it_lets_nobody_in(fresh: World, mode: Mode) -> None:
    """As for a second factor: without it more users would be let in than before."""
    fresh.switch(mode)
    names = [("public.auto_sync_schedules", "schedules_with_2fa"), ("public.pg_cron_secrets", "secrets_with_2fa")]
    with clusters.connect(fresh.cluster) as connection:
        for table, name in names:
            connection.execute(
                f"create policy {name} on {table} as restrictive for all to authenticated"
                " using (current_setting('request.jwt.claims', true) like '%aal2%')".encode()
            )
    command.succeeds(command.run("migrate", "--check", database=fresh.cluster.url()))
    order: tuple[Mode, ...] = ("owner", mode)
    for other in order:
        assert fresh.switch(other).warnings == []
        with clusters.connect(fresh.cluster) as connection:
            found = connection.execute(
                "select schemaname || '.' || tablename, policyname from pg_policies where policyname like '%_2fa'"
                " order by 1"
            ).fetchall()
        assert found == names
        command.succeeds(command.run("migrate", "--check", database=fresh.cluster.url()))


def test_a_migration_that_knows_no_settings_keeps_the_mode(fresh: World) -> None:
    fresh.switch("owner")
    access = fresh.access()
    assert migrate.upgrade(fresh.cluster.url()).objects == []
    command.succeeds(command.run("migrate", database=fresh.cluster.url()))
    command.succeeds(command.run("migrate", "--check", database=fresh.cluster.url()))
    assert fresh.access() == access


def test_the_settings_file_decides_and_check_tells_the_difference(fresh: World) -> None:
    Path("autosync.toml").write_text('[isolation]\nmode = "organization"\n')
    url = fresh.cluster.url()
    assert command.run("migrate", "--check", database=url).code == 5
    command.succeeds(command.run("migrate", database=url))
    command.succeeds(command.run("migrate", "--check", database=url))
    with asked_as(fresh.cluster, "user_1") as connection:
        assert outcome(connection, "select * from public.auto_sync_schedules") == "1"


REFUSED = {
    "table": (
        'mode = "owner"\nintegration_table = "public.absent"',
        "integration_table is public.absent, which does not exist",
    ),
    "schema": (
        'mode = "organization"\nmembership_table = "absent.users"',
        "membership_table is absent.users, which does not exist",
    ),
    "owner column": (
        'mode = "owner"\nowner_column = "absent"',
        "owner_column is absent, a column that public.device_integrations does not have",
    ),
    "id column": (
        'mode = "owner"\nintegration_id_column = "ID"',
        "integration_id_column is ID, a column that public.device_integrations does not have",
    ),
    "organization column": (
        'mode = "organization"\nmembership_organization_column = "absent"',
        "membership_organization_column is absent, a column that public.users does not have",
    ),
    "type": (
        'mode = "organization"\nmembership_user_column = "email"',
        "membership_user_column is email, a column of public.users whose type is not uuid",
    ),
    "no auth": ('mode = "owner"', 'mode "owner" needs auth.uid() and the role authenticated'),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_policy_cannot_read_is_one_error_and_nothing_changes(what: str, fresh: World) -> None:
    settings, complaint = REFUSED[what]
    fresh.switch("organization")
    url = fresh.cluster.url()
    with clusters.connect(fresh.cluster, "supabase_admin") as connection:
        connection.execute("alter table public.users add column email text")
        if what == "no auth":
            connection.execute("drop schema auth cascade")
        before = connection.execute("select * from autosync.setting").fetchall()
        access = fresh.access()
        Path("autosync.toml").write_text(f"[isolation]\n{settings}\n")
        message = command.refused(command.run("migrate", database=url), 5)
        assert complaint in message
        assert "nothing was changed" in message
        assert connection.execute("select * from autosync.setting").fetchall() == before
    assert fresh.access() == access


@pytest.mark.parametrize("name", ["no_schema", 'public."x"', "public.x; drop table y", "a.b.c", "public.é"])
def test_a_table_name_that_is_none_is_refused_before_connecting(name: str) -> None:
    Path("autosync.toml").write_text(f"[isolation]\nmode = 'owner'\nintegration_table = '{name}'\n")
    message = command.refused(command.run("migrate"), 2)
    assert "isolation.integration_table" in message or "integration_table" in message


@pytest.mark.parametrize("mode", ["owner", "organization"])
def test_names_that_need_quotes_work(mode: Mode, fresh: World) -> None:
    with clusters.connect(fresh.cluster) as connection:
        connection.execute(
            'create schema "Order"; grant usage on schema "Order" to authenticated;'
            'create table "Order"."Table" ("select" uuid, "userId" uuid, "group$1" uuid);'
            'grant select on "Order"."Table" to authenticated'
        )
        connection.execute(
            'insert into "Order"."Table" values (%s, %s, %s)',
            [SCHEDULED["user_1"], USERS["user_1"], ORGANIZATIONS["user_1"]],
        )
    fresh.switch(
        mode,
        integration_table="Order.Table",
        integration_id_column="select",
        owner_column="userId",
        membership_table="Order.Table",
        membership_user_column="userId",
        membership_organization_column="group$1",
    )
    for user, seen in (("user_1", "1"), ("user_2", "0")):
        with asked_as(fresh.cluster, user) as connection:
            assert outcome(connection, "select * from public.auto_sync_schedules") == seen
            assert outcome(connection, "update public.auto_sync_schedules set enabled = false") == seen


def test_the_upgrade_function_raises_the_same_error(fresh: World) -> None:
    with pytest.raises(MigrationError, match=r"membership_table is public\.absent"):
        fresh.switch("organization", membership_table="public.absent")
