"""Who may do what is the same under old and new default privileges, asked as each role."""

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg import sql

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.schema import catalog
from tests.support import clusters

ROLES = ("anon", "authenticated", "authenticator", "service_role", "passer_by")
ROWS_OF_SCHEDULES = (
    "insert into public.auto_sync_schedules (integration_id, organization_id) "
    "values (gen_random_uuid(), gen_random_uuid())"
)
# what nobody but the named roles may do
ACTS: dict[str, tuple[str, set[str]]] = {
    "read secrets": ("select secret from public.pg_cron_secrets", {"service_role"}),
    "write secrets": ("insert into public.pg_cron_secrets (name, secret) values ('project_url', 'x')", set()),
    "change secrets": ("update public.pg_cron_secrets set secret = 'x'", set()),
    "delete secrets": ("delete from public.pg_cron_secrets", set()),
    "empty secrets": ("truncate public.pg_cron_secrets", set()),
    "read schedules": ("select * from public.auto_sync_schedules", {"service_role"}),
    "add schedules": (ROWS_OF_SCHEDULES, {"service_role"}),
    "change schedules": ("update public.auto_sync_schedules set enabled = true", {"service_role"}),
    "delete schedules": ("delete from public.auto_sync_schedules", {"service_role"}),
    "empty schedules": ("truncate public.auto_sync_schedules", set()),
    "claim": ("select public.auto_sync_claim(1)", {"service_role"}),
    "dispatch": ("select autosync.dispatch()", set()),
    "read a secret by function": ("select autosync.read_secret('service_role_key')", set()),
    "read the ledger": ("select * from autosync.invocation", set()),
    "read the registry": ("select * from autosync.job", set()),
    "change the registry": ("update autosync.job set function = 'mine'", set()),
    "read the revision": ("select * from autosync.alembic_version", set()),
}


def _with_passer_by(cluster: Cluster) -> Cluster:
    with clusters.connect(cluster, "supabase_admin") as connection:
        connection.execute("create role passer_by login")
    return cluster


@pytest.fixture(scope="module")
def open_world() -> Iterator[Cluster]:
    """A project from before 2026-05-30: whatever postgres creates in public is granted to the API roles."""
    with clusters.created(open_default_privileges=True) as made:
        with clusters.connect(made) as connection:
            connection.execute("create table public.canary ()")
            granted = connection.execute("select has_table_privilege('anon', 'public.canary', 'select')").fetchone()
            assert granted == (True,)  # else this world is not the open one
            connection.execute("drop table public.canary")
        migrate.upgrade(made.url())
        yield _with_passer_by(made)


@pytest.fixture(scope="module")
def closed_world(migrated_template: Cluster) -> Iterator[Cluster]:
    """A project of today: nothing is granted by default."""
    with clusters.cloned(migrated_template) as copy:
        yield _with_passer_by(copy)


@pytest.fixture(params=["open_world", "closed_world"])
def world(request: pytest.FixtureRequest) -> Cluster:
    """Each of the two worlds."""
    found: Cluster = request.getfixturevalue(request.param)
    return found


def test_both_worlds_end_in_the_same_privileges(open_world: Cluster, closed_world: Cluster) -> None:
    with clusters.connect(open_world) as one, clusters.connect(closed_world) as other:
        assert catalog.privileges(one) == catalog.privileges(other)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_names_it_and_no_more(role: str, world: Cluster) -> None:
    with psycopg.connect(world.url("supabase_admin").reveal()) as connection:
        connection.execute(sql.SQL("set session authorization {}").format(sql.Identifier(role)))
        done = set()
        for act, (statement, _) in ACTS.items():
            with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction(force_rollback=True):
                connection.execute(statement.encode())
                done.add(act)
        connection.rollback()
    assert done == {act for act, (_, allowed) in ACTS.items() if role in allowed}


def test_no_function_is_executable_but_those_for_service_role(world: Cluster) -> None:
    """Checked besides the schema's own lock: a stray `grant usage on schema` must open nothing."""
    with clusters.connect(world) as connection:
        found = connection.execute(
            "select r.name, p.proname from unnest(%s::text[]) as r (name), pg_proc as p"
            " where p.pronamespace in ('public'::regnamespace, 'autosync'::regnamespace)"
            " and has_function_privilege(r.name, p.oid, 'execute') order by 1, 2",
            [[*ROLES]],
        ).fetchall()
    claiming = ("auto_sync_claim", "auto_sync_complete", "first_instant", "window_is_open", "window_opening")
    reporting = {("service_role", "auto_sync_report")}
    assert {*found} - reporting == {("service_role", name) for name in claiming}


def test_nobody_may_use_the_private_schema_but_service_role_for_claiming(world: Cluster) -> None:
    with clusters.connect(world) as connection:
        found = connection.execute(
            "select r.name from unnest(%s::text[]) as r (name) where has_schema_privilege(r.name, 'autosync', 'usage')",
            [[*ROLES]],
        ).fetchall()
        made = connection.execute(
            "select from unnest(%s::text[]) as r (name) where has_schema_privilege(r.name, 'autosync', 'create')",
            [[*ROLES]],
        ).fetchall()
    assert (found, made) == ([("service_role",)], [])


@pytest.mark.parametrize("table", ["pg_cron_secrets", "auto_sync_schedules"])
def test_a_stray_grant_still_shows_no_row(table: str, world: Cluster) -> None:
    with psycopg.connect(world.url("supabase_admin").reveal()) as connection:
        connection.execute("insert into public.pg_cron_secrets (name, secret) values ('project_url', 'x')")
        connection.execute(ROWS_OF_SCHEDULES.encode())
        connection.execute(sql.SQL("grant all on public.{} to authenticated").format(sql.Identifier(table)))
        connection.execute("set local role authenticated")
        assert connection.execute(sql.SQL("select * from public.{}").format(sql.Identifier(table))).fetchall() == []
        connection.rollback()
