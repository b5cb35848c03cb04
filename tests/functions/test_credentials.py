"""Who may call the shipped function on real Deno, through an open and a verifying gateway, and who is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autosync_db import config
from autosync_db.credentials import store
from autosync_db.health import catalogue
from autosync_db.health.model import Status, Verdict
from autosync_db.secret import Secret
from tests.support import clusters
from tests.support.edge import FUNCTIONS, Database, Edge, Keys, StartEdge

Start = Callable[..., Edge]
Tick = Callable[[Edge], tuple[int, str | None]]
CHECK = catalogue.find("function_rejects_strangers")


@pytest.fixture(scope="module")
def broken_functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped functions, but auto-sync-cron and plain functions let everybody in."""
    folder = tmp_path_factory.mktemp("open") / "functions"
    shutil.copytree(FUNCTIONS, folder)
    job = folder / "_shared" / "job.ts"
    source = job.read_text()
    gate = 'if (verdict.kind !== "granted") {'
    assert gate in source
    job.write_text(source.replace(gate, 'if (verdict.kind === "unconfigured") {').replace("verdict.key)", "null)"))
    return folder


@pytest.fixture
def start(start_edge: StartEdge, database: Database, keys: Keys) -> Start:
    """A function that starts a runtime, with a verifying gateway or without; both secrets of a rotation are known."""

    def begin(functions: Path, *, verify: bool) -> Edge:
        environment = {
            "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
            "AUTOSYNC_DB_URL": database.api_url,
            "AUTOSYNC_VERIFY_JWT": "true,device-sync=false" if verify else "false",
            "SUPABASE_ANON_KEY": keys.token("anon"),
            "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
        }
        return start_edge(functions, environment, {"AUTOSYNC_CRON_SECRET": ",".join(keys.cron_secrets)})

    return begin


def _look(database: Database, edge: Edge, keys: Keys) -> Verdict:
    with clusters.connect(database.cluster) as connection:
        address = Secret(f"http://127.0.0.1:{edge.port}")
        store.store(connection, {"project_url": address, "service_role_key": Secret(keys.token("service_role"))})
        assert CHECK.look is not None
        return CHECK.judge(CHECK.look(connection, config.load(config.Flags()), "auto-sync-cron-job"), CHECK.claim)


def test_the_shipped_function_is_closed_and_nothing_is_run(
    start: Start, steered_functions: Path, database: Database, keys: Keys
) -> None:
    schedule = database.add("fine")[0]
    edge = start(steered_functions, verify=False)
    verdict = _look(database, edge, keys)
    assert verdict.status is Status.OK, verdict
    assert "no credential (401), a made-up anon key (401)" in verdict.summary
    assert database.outcome(schedule) == (None, None, None)


def test_behind_a_gateway_that_verifies_the_real_public_key_is_the_proof(
    start: Start, steered_functions: Path, database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = start(steered_functions, verify=True)
    assert _look(database, edge, keys).status is Status.UNKNOWN
    monkeypatch.setenv("SUPABASE_ANON_KEY", keys.token("anon"))
    verdict = _look(database, edge, keys)
    assert verdict.status is Status.OK, verdict
    assert "the project's public key (401)" in verdict.summary


def test_a_function_that_lets_everybody_in_is_found_without_a_sync(
    start: Start, broken_functions: Path, database: Database, keys: Keys
) -> None:
    schedule = database.add("fine")[0]
    edge = start(broken_functions, verify=False)
    verdict = _look(database, edge, keys)
    assert verdict.status is Status.CRITICAL
    assert "answered 200 to a call with no credential: anybody can run it" in verdict.summary
    assert database.outcome(schedule) == (None, None, None), "it was open, and the probe ran nothing all the same"
    assert edge.call("auto-sync-cron").json()["counts"]["claimed"] == 1, "it really was open"


def test_behind_a_verifying_gateway_an_open_function_is_found_with_the_public_key(
    start: Start, broken_functions: Path, database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = start(broken_functions, verify=True)
    monkeypatch.setenv("SUPABASE_ANON_KEY", keys.token("anon"))
    verdict = _look(database, edge, keys)
    assert verdict.status is Status.CRITICAL
    assert "a call with the project's public key" in verdict.summary


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


def _store(database: Database, **values: str) -> None:
    with clusters.connect(database.cluster) as owner:
        store.store(owner, {name: Secret(value) for name, value in values.items()})


def test_a_tick_with_the_cron_secret_alone_runs_what_is_due(
    tick: Tick, start: Start, steered_functions: Path, database: Database, keys: Keys
) -> None:
    edge = start(steered_functions, verify=False)
    for secret in keys.cron_secrets:
        schedule = database.add("fine")[0]
        _store(database, cron_secret=secret)
        assert tick(edge) == (200, None)
        assert database.outcome(schedule)[0] == "success"
    _store(database, cron_secret="s" * 43)
    assert tick(edge) == (401, None)


def test_a_verifying_gateway_wants_the_public_key_besides(
    tick: Tick, start: Start, steered_functions: Path, database: Database, keys: Keys
) -> None:
    edge = start(steered_functions, verify=True)
    schedule = database.add("fine")[0]
    _store(database, cron_secret=keys.cron_secrets[0])
    assert tick(edge) == (401, "UNAUTHORIZED_NO_AUTH_HEADER")
    _store(database, gateway_key=keys.token("anon"))
    assert tick(edge) == (200, None)
    assert database.outcome(schedule)[0] == "success"
