"""An application with two users in two organizations, and statements asked the way the Data API asks them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import psycopg
import pytest
from psycopg import sql

from autosync_db.config import IsolationSettings
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from autosync_db.schema.revisions import MigrationResult
from tests.support import clusters

Mode = Literal["none", "owner", "organization"]
MODES: tuple[Mode, ...] = get_args(Mode)
Connection = psycopg.Connection[Any]


def _id(kind: int, number: int) -> str:
    return f"00000000-0000-4000-8000-0000000{kind:02d}{number:03d}"


USERS = {"user_1": _id(1, 1), "user_2": _id(1, 2)}
ORGANIZATIONS = {"user_1": _id(2, 1), "user_2": _id(2, 2)}
SCHEDULED = {"user_1": _id(3, 1), "user_2": _id(3, 2)}
UNSCHEDULED = {"user_1": _id(4, 1), "user_2": _id(4, 2)}

APPLICATION = """
create table public.users (id uuid primary key, organization_id uuid not null);
create table public.device_integrations (id uuid primary key, user_id uuid not null, organization_id uuid not null);
alter table public.users enable row level security;
alter table public.device_integrations enable row level security;
revoke all on public.users, public.device_integrations from anon, authenticated, service_role;
grant select on public.users, public.device_integrations to authenticated;
create policy users_self on public.users for select to authenticated using (id = (select auth.uid()));
create policy device_integrations_owner on public.device_integrations for select to authenticated
    using (user_id = (select auth.uid()))
"""


@contextmanager
def asked_as(cluster: Cluster, role: str) -> Iterator[Connection]:
    """Yield a connection as a request of `role` has it, in a transaction that is rolled back.

    `user_1` and `user_2` are signed-in users; `nobody` is signed in without a subject. `postgres` owns the tables.
    """
    login = "postgres" if role == "postgres" else "authenticator"
    with psycopg.connect(cluster.url(login).reveal()) as connection:
        try:
            connection.execute("select")  # begins the transaction, within which outcome() has savepoints
            if login == "authenticator":
                become(connection, role)
            yield connection
        finally:
            connection.rollback()


def become(connection: Connection, role: str) -> None:
    """Set claims and role for the rest of the transaction, as PostgREST does."""
    database_role = role if role in ("anon", "service_role") else "authenticated"
    claims = {"role": database_role} | ({"sub": USERS[role]} if role in USERS else {})
    connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(database_role)))


def outcome(connection: Connection, statement: str, parameters: dict[str, Any] | None = None) -> str:
    """Return how many rows a statement reached, `denied` without the privilege, `policy` when a policy refuses."""
    try:
        with connection.transaction():
            return str(connection.execute(statement.encode(), parameters).rowcount)
    except psycopg.errors.InsufficientPrivilege as error:
        return "policy" if "row-level security policy" in str(error) else "denied"


@dataclass(frozen=True, slots=True)
class World:
    """A cluster with the application and one schedule for each user's integration."""

    cluster: Cluster

    def switch(self, mode: Mode, **settings: str) -> MigrationResult:
        """Migrate to a mode of isolation."""
        isolation = IsolationSettings.model_validate({"mode": mode, **settings})
        return migrate.upgrade(self.cluster.url(), isolation=isolation)

    def access(self) -> list[tuple[Any, ...]]:
        """Return every policy and every privilege on the table and its columns."""
        with clusters.connect(self.cluster) as connection:
            return connection.execute(
                """
                select 'policy', p.policyname::text, concat_ws('|', p.permissive, p.roles, p.cmd, p.qual, p.with_check)
                from pg_policies as p where p.schemaname = 'public' and p.tablename = 'auto_sync_schedules'
                union all
                select 'table', x.grantee::regrole::text, x.privilege_type
                from pg_class as c cross join lateral aclexplode(c.relacl) as x
                where c.oid = 'public.auto_sync_schedules'::regclass
                union all
                select a.attname, x.grantee::regrole::text, x.privilege_type
                from pg_attribute as a cross join lateral aclexplode(a.attacl) as x
                where a.attrelid = 'public.auto_sync_schedules'::regclass
                order by 1, 2, 3
                """
            ).fetchall()


def fill(cluster: Cluster) -> None:
    """Create the application's tables and the rows of both users."""
    with clusters.connect(cluster) as connection:
        connection.execute(APPLICATION)
        for user, identity in USERS.items():
            organization = ORGANIZATIONS[user]
            connection.execute("insert into public.users values (%s, %s)", [identity, organization])
            for integration in (SCHEDULED[user], UNSCHEDULED[user]):
                connection.execute(
                    "insert into public.device_integrations values (%s, %s, %s)",
                    [integration, identity, organization],
                )
            connection.execute(
                "insert into public.auto_sync_schedules (integration_id, organization_id, enabled)"
                " values (%s, %s, true)",
                [SCHEDULED[user], organization],
            )


@pytest.fixture(scope="session")
def closed_world(migrated_template: Cluster) -> Iterator[World]:
    """A project of today: nothing is granted by default."""
    with clusters.cloned(migrated_template) as copy:
        fill(copy)
        yield World(copy)


@pytest.fixture(scope="session")
def open_world() -> Iterator[World]:
    """A project from before 2026-05-30: whatever postgres creates in public is granted to the API roles."""
    with clusters.created(open_default_privileges=True) as made:
        migrate.upgrade(made.url())
        fill(made)
        yield World(made)


@pytest.fixture(scope="session", params=["closed_world", "open_world"])
def world(request: pytest.FixtureRequest) -> World:
    """Each of the two worlds."""
    found: World = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def fresh(migrated: Cluster) -> World:
    """A world of the test's own."""
    fill(migrated)
    return World(migrated)
