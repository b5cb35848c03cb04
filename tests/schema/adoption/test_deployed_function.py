"""The function as it was deployed, on real Deno, goes on working on an adopted database."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from tests.support import clusters
from tests.support.edge import Edge, Keys

FIXTURES = Path(__file__).parents[2] / "functions" / "fixtures"
# answers every schedule alike
DEVICE_SYNC = """
Deno.serve(() => Response.json({ summary: { synced: 2, created: 1, updated: 1, skipped: 0, errors: 0 } }));
"""


@pytest.fixture
def edge(deployed: Cluster, tmp_path: Path) -> Iterator[tuple[Edge, Keys]]:
    """A runtime with the deployed function beside a database that was adopted, and its keys."""
    migrate.upgrade(deployed.url())
    keys = Keys()
    for name, source in (
        ("auto-sync-cron", (FIXTURES / "deployed_auto_sync_cron.ts").read_text()),
        ("device-sync", DEVICE_SYNC),
    ):
        (tmp_path / "functions" / name).mkdir(parents=True)
        (tmp_path / "functions" / name / "index.ts").write_text(source)
    shutil.copy(Path(__file__).parents[3] / "templates" / "functions" / "deno.json", tmp_path / "functions")
    running = Edge(
        tmp_path / "functions",
        {
            "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
            "AUTOSYNC_DB_URL": deployed.url("authenticator").reveal(),
            "SUPABASE_ANON_KEY": keys.token("anon"),
            "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
        },
    )
    yield running, keys
    running.stop()


def test_what_is_due_is_synced_once(edge: tuple[Edge, Keys], deployed: Cluster) -> None:
    runtime, keys = edge

    def run() -> dict[str, str | None]:
        answer = runtime.call("auto-sync-cron", headers={"authorization": f"Bearer {keys.token('service_role')}"})
        assert answer.status_code == 200, answer.text
        return {result["id"][-2:]: result["error"] for result in answer.json()["results"]}

    due = "select right(id::text, 2) from public.auto_sync_schedules where enabled and next_run_at <= now()"
    with clusters.connect(deployed) as connection:
        waiting = {number for (number,) in connection.execute(due).fetchall()}
    assert waiting >= {"02", "08", "10"}
    assert run() == dict.fromkeys(waiting)
    with clusters.connect(deployed) as connection:
        recorded = connection.execute(
            "select last_run_status, last_run_summary ->> 'synced',"
            " next_run_at - last_run_at = make_interval(mins => frequency_minutes)"
            " from public.auto_sync_schedules where right(id::text, 2) = any(%s)",
            [["02", "08", "10"]],
        ).fetchall()
    assert recorded == [("success", "2", True)] * 3
    assert set(run()) & {"02", "08", "10"} == set()
