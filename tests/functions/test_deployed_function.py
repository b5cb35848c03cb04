"""A function as projects in the field have it, which knows no claims, works unchanged beside table and trigger."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge import Database, Edge, Keys, StartEdge

DEPLOYED = Path(__file__).parent / "fixtures" / "deployed_auto_sync_cron.ts"


@pytest.fixture(scope="module")
def edge(
    start_edge: StartEdge,
    steered_functions: Path,
    edge_database: Database,
    keys: Keys,
    tmp_path_factory: pytest.TempPathFactory,
) -> Edge:
    folder = tmp_path_factory.mktemp("deployed") / "functions"
    shutil.copytree(steered_functions, folder)
    shutil.rmtree(folder / "auto-sync-cron")
    (folder / "auto-sync-cron").mkdir()
    shutil.copy(DEPLOYED, folder / "auto-sync-cron" / "index.ts")
    environment = {
        "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
        "AUTOSYNC_DB_URL": edge_database.api_url,
        "SUPABASE_ANON_KEY": keys.token("anon"),
        "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
    }
    return start_edge(folder, environment)


def _run(edge: Edge, keys: Keys) -> dict[str, Any]:
    answer = edge.call("auto-sync-cron", headers={"authorization": f"Bearer {keys.token('service_role')}"})
    assert answer.status_code == 200, answer.text
    return {result["id"]: result["error"] for result in answer.json()["results"]}


def test_what_is_due_is_synced_and_its_next_run_moves_on(edge: Edge, keys: Keys, database: Database) -> None:
    fine, partly = database.add("fine", "errors")
    disabled, windowed, broken = database.add("fine", "fine", "garbage")
    database.rows("update public.auto_sync_schedules set enabled = false where id = %s", disabled)
    # due since before its window closed
    database.rows("alter table public.auto_sync_schedules disable trigger user")
    database.rows(
        "update public.auto_sync_schedules set time_window_enabled = true,"
        " time_window_start = (now() at time zone 'UTC')::time + interval '2 hours',"
        " time_window_end = (now() at time zone 'UTC')::time + interval '3 hours' where id = %s",
        windowed,
    )
    database.rows("alter table public.auto_sync_schedules enable trigger user")

    results = _run(edge, keys)
    assert set(results) == {fine, partly, broken}
    assert (results[fine], results[partly]) == (None, None)
    assert results[broken] is not None

    for id_, status in ((fine, "success"), (partly, "partial")):
        assert database.outcome(id_)[0] == status
        [(moved, failures)] = database.rows(
            "select next_run_at - last_run_at = interval '15 minutes', consecutive_failures"
            " from public.auto_sync_schedules where id = %s",
            id_,
        )
        assert (moved, failures) == (True, 0)
    assert database.outcome(fine)[1] == {"synced": 3, "created": 1, "updated": 1, "skipped": 1, "errors": 0}
    for id_ in (disabled, windowed, broken):
        assert database.outcome(id_)[0] is None
    # what was synced is not due again, what failed is, as ever
    assert set(_run(edge, keys)) == {broken}
