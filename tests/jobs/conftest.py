"""The chain as far as the ledger sees it: a cluster at head, pg_net's worker, a stub for the functions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.support import clusters, keys
from tests.support.http_stub import Stub

_INVOCATION = """
select i.outcome, i.status_code, i.error_code, i.error_message, i.body_excerpt, i.settled_at is not null
from autosync.invocation as i
where i.tick_id = %s
order by i.id
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """What the ledger keeps of one request."""

    outcome: str
    status_code: int | None
    error_code: str | None
    error_message: str | None
    body_excerpt: str | None
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """What the tests do to the chain, as postgres."""

    connection: psycopg.Connection[Any]

    def store(self, project_url: str | None, key: Secret | None) -> None:
        """Make these the stored secrets; None deletes one."""
        self.connection.execute("delete from public.pg_cron_secrets")
        for name, value in (
            ("project_url", project_url),
            ("service_role_key", key.reveal() if key else None),
        ):
            if value is not None:
                self.connection.execute(
                    "insert into public.pg_cron_secrets (name, secret) values (%s, %s)", [name, value]
                )

    def dispatch(self, *, force: bool = False) -> int:
        """Run one tick and return its id."""
        return int(self.value("select autosync.dispatch('auto-sync-cron-job', %s)", force))

    def value(self, query: str, *parameters: object) -> Any:
        """Return the first column of the first row."""
        row = self.connection.execute(query.encode(), parameters).fetchone()
        assert row is not None
        return row[0]

    def requests(self, tick: int) -> list[Settled]:
        """Return what the ledger holds of a tick's requests, without settling."""
        return [Settled(*row) for row in self.connection.execute(_INVOCATION, [tick])]

    def settled(self, tick: int) -> Settled:
        """Settle until the one request of a tick has an outcome."""

        def look() -> bool:
            self.connection.execute("select autosync.settle()")
            return all(request.is_settled for request in self.requests(tick))

        clusters.wait_for(look, f"the outcome of tick {tick}")
        (found,) = self.requests(tick)
        return found

    def queued(self) -> list[tuple[Any, ...]]:
        """Return url, headers, body and timeout of what waits to be sent."""
        return self.connection.execute(
            "select url, headers, convert_from(body, 'UTF8')::jsonb, timeout_milliseconds"
            " from net.http_request_queue order by id"
        ).fetchall()

    def add_due(self, schedules: int) -> None:
        """Add schedules that are due now."""
        self.connection.execute(
            "insert into public.auto_sync_schedules (integration_id, organization_id, enabled)"
            " select gen_random_uuid(), gen_random_uuid(), true from generate_series(1, %s)",
            [schedules],
        )


@pytest.fixture(scope="session")
def served(migrated_template: Cluster) -> Iterator[Cluster]:
    """A cluster at head beside which pg_net's worker runs."""
    with clusters.cloned(migrated_template) as copy, clusters.pg_net_worker(copy):
        yield copy


@pytest.fixture
def chain(served: Cluster, stub: Stub) -> Iterator[Chain]:
    """The whole chain to `stub`, with a legacy key stored; it is emptied afterwards."""
    with clusters.connect(served) as connection:
        running = Chain(connection)
        running.store(stub.url, keys.legacy())
        yield running
        connection.execute(
            "truncate autosync.tick, autosync.invocation, public.pg_cron_secrets, public.auto_sync_schedules"
        )
        connection.execute("delete from autosync.job where name not in ('auto-sync-cron-job', 'autosync-keep-house')")
        connection.execute("delete from autosync.setting where name = 'binding'")
        connection.execute("update autosync.job set timeout_milliseconds = 30000, invoke = 'always', paused_at = null")


@pytest.fixture
def unsent(transaction: psycopg.Connection[Any]) -> Chain:
    """The chain without a worker, in a transaction that is rolled back: requests stay in the queue."""
    return Chain(transaction)
