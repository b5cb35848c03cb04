"""The check function_rejects_strangers against the shipped function on real Deno, closed, shielded and broken open."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autosync_db import config
from autosync_db.credentials import store
from autosync_db.health import catalogue
from autosync_db.health.model import Status, Verdict
from autosync_db.secret import Secret
from tests.support import clusters
from tests.support.edge import FUNCTIONS, Database, Edge, Keys, StartEdge

CHECK = catalogue.find("function_rejects_strangers")


@pytest.fixture(scope="module")
def broken_functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped functions, but auto-sync-cron lets everybody in."""
    folder = tmp_path_factory.mktemp("open") / "functions"
    shutil.copytree(FUNCTIONS, folder)
    index = folder / "auto-sync-cron" / "index.ts"
    source = index.read_text()
    gate = 'if (verdict.kind !== "granted") {'
    assert gate in source
    index.write_text(source.replace(gate, 'if (verdict.kind === "unconfigured") {').replace("verdict.key)", "null)"))
    return folder


def _environment(keys: Keys, database: Database, *, verify: bool) -> dict[str, str]:
    return {
        "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
        "AUTOSYNC_DB_URL": database.api_url,
        "AUTOSYNC_VERIFY_JWT": "true" if verify else "false",
        "SUPABASE_ANON_KEY": keys.token("anon"),
        "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
    }


def _look(database: Database, edge: Edge, keys: Keys) -> Verdict:
    with clusters.connect(database.cluster) as connection:
        address = Secret(f"http://127.0.0.1:{edge.port}")
        store.store(connection, {"project_url": address, "service_role_key": Secret(keys.token("service_role"))})
        assert CHECK.look is not None
        return CHECK.judge(CHECK.look(connection, config.load(config.Flags())), CHECK.claim)


def test_the_shipped_function_is_closed_and_nothing_is_run(
    start_edge: StartEdge, steered_functions: Path, database: Database, keys: Keys
) -> None:
    schedule = database.add("fine")[0]
    edge = start_edge(steered_functions, _environment(keys, database, verify=False))
    verdict = _look(database, edge, keys)
    assert verdict.status is Status.OK, verdict
    assert "no credential (401), a made-up anon key (401)" in verdict.summary
    assert database.outcome(schedule) == (None, None, None)


def test_behind_a_gateway_that_verifies_the_real_public_key_is_the_proof(
    start_edge: StartEdge, steered_functions: Path, database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = start_edge(steered_functions, _environment(keys, database, verify=True))
    assert _look(database, edge, keys).status is Status.UNKNOWN
    monkeypatch.setenv("SUPABASE_ANON_KEY", keys.token("anon"))
    verdict = _look(database, edge, keys)
    assert verdict.status is Status.OK, verdict
    assert "the project's public key (401)" in verdict.summary


def test_a_function_that_lets_everybody_in_is_found_without_a_sync(
    start_edge: StartEdge, broken_functions: Path, database: Database, keys: Keys
) -> None:
    schedule = database.add("fine")[0]
    edge = start_edge(broken_functions, _environment(keys, database, verify=False))
    verdict = _look(database, edge, keys)
    assert verdict.status is Status.CRITICAL
    assert "answered 200 to a call with no credential: anybody can run it" in verdict.summary
    assert database.outcome(schedule) == (None, None, None), "it was open, and the probe ran nothing all the same"
    assert edge.call("auto-sync-cron").json()["claimed"] == 1, "it really was open"


def test_behind_a_verifying_gateway_an_open_function_is_found_with_the_public_key(
    start_edge: StartEdge, broken_functions: Path, database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = start_edge(broken_functions, _environment(keys, database, verify=True))
    monkeypatch.setenv("SUPABASE_ANON_KEY", keys.token("anon"))
    verdict = _look(database, edge, keys)
    assert verdict.status is Status.CRITICAL
    assert "a call with the project's public key" in verdict.summary
