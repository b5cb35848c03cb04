"""A tick with a cron secret reaches the shipped function on real Deno, through an open and a verifying gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from autosync_db.credentials import store
from autosync_db.secret import Secret
from tests.support import clusters
from tests.support.edge import Database, Edge, Keys, StartEdge

Tick = Callable[[Edge], tuple[int, str | None]]


@pytest.fixture
def tick(database: Database) -> Iterator[Tick]:
    """A function that makes one tick to a runtime and returns status and platform code of the answer."""

    def make(edge: Edge) -> tuple[int, str | None]:
        with clusters.connect(database.cluster) as owner:
            store.store(owner, {"project_url": Secret(f"http://127.0.0.1:{edge.port}")})
            [(tick_id,)] = owner.execute("select autosync.dispatch()").fetchall()

            def answer() -> tuple[int, str | None] | None:
                owner.execute("select autosync.settle()")
                return owner.execute(
                    "select status_code, error_code from autosync.invocation"
                    " where tick_id = %s and outcome <> 'pending'",
                    [tick_id],
                ).fetchone()

            return clusters.wait_for(answer, "the answer", patience=60) or (0, None)

    database.rows(
        "insert into autosync.setting (name, value)"
        " values ('function_auth', jsonb_build_object('auto-sync-cron-job', 'cron_secret'))"
    )
    with clusters.pg_net_worker(database.cluster):
        yield make
    database.rows("delete from autosync.setting where name = 'function_auth'")
    database.rows("delete from public.pg_cron_secrets")


@pytest.fixture
def start(start_edge: StartEdge, steered_functions: object, database: Database, keys: Keys) -> Callable[[bool], Edge]:
    """A function that starts the runtime, with a verifying gateway or without; both secrets of a rotation are known."""

    def begin(verify: bool) -> Edge:
        environment = {
            "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
            "AUTOSYNC_DB_URL": database.api_url,
            "AUTOSYNC_VERIFY_JWT": "true,device-sync=false" if verify else "false",
            "SUPABASE_ANON_KEY": keys.token("anon"),
            "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
        }
        return start_edge(steered_functions, environment, {"AUTOSYNC_CRON_SECRET": ",".join(keys.cron_secrets)})

    return begin


def _store(database: Database, **values: str) -> None:
    with clusters.connect(database.cluster) as owner:
        store.store(owner, {name: Secret(value) for name, value in values.items()})


def test_the_secret_alone_runs_what_is_due(
    tick: Tick, start: Callable[[bool], Edge], database: Database, keys: Keys
) -> None:
    edge = start(False)
    for secret in keys.cron_secrets:
        schedule = database.add("fine")[0]
        _store(database, cron_secret=secret)
        assert tick(edge) == (200, None)
        assert database.outcome(schedule)[0] == "success"
    _store(database, cron_secret="s" * 43)
    assert tick(edge) == (401, None)


def test_a_verifying_gateway_wants_the_public_key_besides(
    tick: Tick, start: Callable[[bool], Edge], database: Database, keys: Keys
) -> None:
    edge = start(True)
    schedule = database.add("fine")[0]
    _store(database, cron_secret=keys.cron_secrets[0])
    assert tick(edge) == (401, "UNAUTHORIZED_NO_AUTH_HEADER")
    _store(database, gateway_key=keys.token("anon"))
    assert tick(edge) == (200, None)
    assert database.outcome(schedule)[0] == "success"
