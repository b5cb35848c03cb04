"""A project as it is found in the field, made once for both worlds of default privileges and copied for each test."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from autosync_db.local.cluster import Cluster
from autosync_db.schema import inventory, migrate
from autosync_db.schema.inventory import Privilege
from autosync_db.schema.revisions import MigrationResult
from tests.support import clusters, handmade

# what the owner added
EXTRAS = """
alter table public.auto_sync_schedules
    add column notes text default 'a note', add column priority integer not null default 3;
alter table public.auto_sync_schedules add constraint priority_is_small check (priority between 1 and 9);
alter table public.pg_cron_secrets add column description text;
create index schedules_by_priority on public.auto_sync_schedules (priority, enabled);
create table public.schedule_history (schedule_id uuid, at timestamptz default now(), enabled boolean);
create function public.keep_history() returns trigger language plpgsql security definer set search_path = '' as $$
begin
    insert into public.schedule_history (schedule_id, enabled) values (new.id, new.enabled);
    return new;
end
$$;
create trigger z_keep_history after update of enabled on public.auto_sync_schedules
for each row execute function public.keep_history();
"""
OWN_POLICY = """
create policy "Auditors may look" on public.auto_sync_schedules for select to authenticated
    using (coalesce(current_setting('request.jwt.claims', true)::jsonb ->> 'auditor', '') = 'yes')
"""
COLUMNS: tuple[str, ...] = (
    "id", "integration_id", "organization_id", "enabled", "frequency_minutes", "direction", "conflict_resolution",
    "only_online", "time_window_enabled", "time_window_start", "time_window_end", "device_filter", "device_tags",
    "last_run_at", "last_run_status", "last_run_summary", "created_at", "updated_at", "created_by", "updated_by",
)  # fmt: skip
# the rows whose settings are changed, by the last digits of the id
FIXED = ("10", "11", "12")
USER = {n: f"00000000-0000-4000-8000-00000000a00{n}" for n in (1, 2)}
FREE_INTEGRATION = "00000000-0000-4000-8000-00000000c014"
ORGANIZATION = {n: f"00000000-0000-4000-8000-00000000b00{n}" for n in (1, 2)}


@pytest.fixture(scope="session")
def closed_template(blank_template: Cluster) -> Iterator[Cluster]:
    """A stopped cluster in the deployed state, where nobody is granted anything by default."""
    with clusters.cloned(blank_template) as copy:
        handmade.deploy(copy)
        copy.stop()
        yield copy


@pytest.fixture(scope="session")
def open_blank() -> Iterator[Cluster]:
    """A stopped cluster without the toolkit, where the API roles are granted everything by default.

    It was made by itself, so to Postgres it is another server than all copies of `blank_template`.
    """
    with clusters.created(open_default_privileges=True) as made:
        made.stop()
        yield made


@pytest.fixture(scope="session")
def open_template(open_blank: Cluster) -> Iterator[Cluster]:
    """A stopped cluster in the deployed state, where the API roles are granted everything by default."""
    with clusters.cloned(open_blank) as copy:
        handmade.deploy(copy)
        copy.stop()
        yield copy


@contextmanager
def copied(template: Cluster) -> Iterator[Cluster]:
    """Yield a running copy whose job knows its port: it is another one than that of the template."""
    with clusters.cloned(template) as copy:
        with clusters.connect(copy, "supabase_admin") as admin:
            admin.execute("update cron.job set nodeport = %s", [copy.port])
        yield copy


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be compared before and after."""

    checksums: dict[str, str]
    others: dict[str, str]  # of the columns that nothing changes
    next_runs: dict[str, Any]
    seen: list[set[str]]  # by the two members
    privileges: dict[str, set[Privilege]]  # by table


@dataclass(frozen=True, slots=True)
class Adoption:
    """A cluster that was adopted with the owner's extras, before and after, and what was said."""

    cluster: Cluster
    before: Facts
    after: Facts
    plan: migrate.MigrationPlan
    outcome: MigrationResult


def facts(cluster: Cluster) -> Facts:
    """Return what can be compared, of a running cluster."""
    seen = []
    for user in USER:
        with asked_as(cluster, user) as connection:
            seen.append({id for (id,) in connection.execute("select id::text from public.auto_sync_schedules")})
    with clusters.connect(cluster) as connection:
        next_runs = connection.execute("select right(id::text, 2), next_run_at from public.auto_sync_schedules")
        privileges = {
            table: inventory.privileges(connection, table)
            for table in ("public.pg_cron_secrets", "public.auto_sync_schedules")
        }
        others = tuple(column for column in COLUMNS if column not in ("frequency_minutes", "time_window_end"))
        return Facts(checksums(cluster), checksums(cluster, others), dict(next_runs.fetchall()), seen, privileges)


@pytest.fixture(scope="session")
def adoption(open_template: Cluster) -> Iterator[Adoption]:
    """A finished adoption; tests roll back what they do."""
    with copied(open_template) as copy:
        with clusters.connect(copy) as owner:
            owner.execute(EXTRAS.encode())
        before, plan = facts(copy), migrate.plan(copy.url())
        outcome = migrate.upgrade(copy.url())
        after = facts(copy)
        clusters.keep_quiet(copy)
        yield Adoption(copy, before, after, plan, outcome)


@pytest.fixture
def adopted(adoption: Adoption) -> Cluster:
    """The adopted cluster."""
    return adoption.cluster


@pytest.fixture
def deployed(open_template: Cluster) -> Iterator[Cluster]:
    """A running cluster of the test's own in the deployed state."""
    with copied(open_template) as copy:
        yield copy


def checksums(cluster: Cluster, columns: tuple[str, ...] = COLUMNS) -> dict[str, str]:
    """Return a checksum of each schedule's columns by id."""
    with clusters.connect(cluster) as connection:
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL("select id::text, md5(row({})::text) from public.auto_sync_schedules").format(listed)
        return dict(connection.execute(query).fetchall())


@contextmanager
def asked_as(cluster: Cluster, user: int | None, role: str = "authenticated", **claims: str) -> Iterator[Any]:
    """Yield a connection as a request of a signed-in user has it, in a transaction that is rolled back."""
    with psycopg.connect(cluster.url("authenticator").reveal()) as connection:
        named = {"role": role, **({"sub": USER[user]} if user else {}), **claims}
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(named)])
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        try:
            yield connection
        finally:
            connection.rollback()
