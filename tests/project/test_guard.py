"""A test that fails in the middle of a fault leaves no broken server to the next one, and none slips past the mark."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters, guard

ROOT = Path(__file__).parents[2]
# three ways to be interrupted; between them a test that fails without having changed anything keeps its server
INNER = """
import pytest

from tests.support import clusters

PORTS = []

FAULTS = {
    "nothing": "select 1",
    "settings": "alter system set cron.log_run = off",
    "rows of pg_cron": "update cron.job set active = false",
    "extension": "drop extension pg_net cascade",
}


@pytest.fixture(scope="session")
def built_on_it(shared):
    with clusters.connect(shared, "supabase_admin") as connection:
        yield connection


@pytest.mark.parametrize("fault", FAULTS)
def test_is_interrupted(built_on_it, fault):
    built_on_it.execute(FAULTS[fault])
    raise AssertionError("in the middle")


def test_stops_the_server(shared):
    PORTS.append(shared.port)
    shared.stop()
    raise AssertionError("in the middle")


def test_finds_all_well(shared, built_on_it):
    found = built_on_it.execute(
        "select current_setting('cron.log_run'), bool_and(active), to_regclass('net._http_response')::text"
        " from cron.job"
    ).fetchone()
    assert found == ("on", True, "net._http_response")


@pytest.mark.parametrize("again", range(2))
def test_fails_harmlessly(shared, again):
    PORTS.append(shared.port)
    raise AssertionError("without a fault")


def test_how_often_a_server_was_replaced():
    before, first, second = PORTS
    assert before != first == second


def test_makes_a_server_without_the_mark(request):
    with clusters.cloned(request.getfixturevalue("blank_template")):
        pass
"""


@pytest.mark.long
@pytest.mark.server
def test_a_failing_test_leaves_no_broken_server_to_the_next_and_none_escapes_the_mark(tmp_path: Path) -> None:
    path = tmp_path / "test_inner.py"
    path.write_text(INNER)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--tb=line"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}", str(path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "7 failed, 3 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "mark it with pytest.mark.server" in done.stdout


def test_processes_share_one_template(blank_template: Cluster) -> None:
    home = Path(os.environ[clusters.TEMPLATES])
    assert blank_template.folder.parent == home
    assert clusters.template("blank", lambda cluster: pytest.fail("made again")) == blank_template


def test_what_the_second_version_leaves_out_is_there() -> None:
    assert [path for path in guard.ONE_VERSION if not (ROOT / path).exists()] == []
