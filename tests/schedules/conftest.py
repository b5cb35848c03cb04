"""A cluster at head, in the world where postgres's functions and tables are open to the API roles by default."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.support import clusters


@pytest.fixture(scope="session")
def schedule_cluster() -> Iterator[Cluster]:
    """A cluster at head; what a role of the API may not do, it may not because of us."""
    with clusters.created(open_default_privileges=True) as made:
        migrate.upgrade(made.url())
        yield made


@pytest.fixture
def schedule_db(schedule_cluster: Cluster) -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """Yield a function that connects as a role, to no schedules: connect("service_role"), None for the superuser."""
    opened: list[psycopg.Connection[Any]] = []

    def connect(role: str | None = "postgres", *, autocommit: bool = True) -> psycopg.Connection[Any]:
        if role in (None, "postgres"):
            connection = clusters.connect(schedule_cluster, role or "supabase_admin")
        else:
            connection = clusters.connect(schedule_cluster, "authenticator")
            connection.execute(f"set role {role}".encode())
        opened.append(connection)
        connection.autocommit = autocommit
        return connection

    with clusters.connect(schedule_cluster, "supabase_admin") as admin:
        admin.execute("truncate public.auto_sync_schedules")
        # no test may find the statistics of another
        admin.execute("delete from pg_statistic where starelid = 'public.auto_sync_schedules'::regclass")
    yield connect
    for connection in opened:
        connection.close()
