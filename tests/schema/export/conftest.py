"""Exported migrations, and the Supabase CLI that applies them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from autosync_db.config import IsolationSettings
from autosync_db.local.cluster import Cluster
from autosync_db.schema import export
from tests.support import clusters, tools

MIGRATIONS = Path("supabase/migrations")
Push = Callable[[Cluster], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def supabase() -> Path:
    """The CLI itself."""
    return tools.supabase()


@pytest.fixture
def push(supabase: Path, tmp_path: Path) -> Push:
    """Run `supabase db push` in the current folder on a cluster, as the role postgres."""

    def run(cluster: Cluster) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(supabase), "db", "push", "--db-url", cluster.url().reveal(), "--yes"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SUPABASE_TELEMETRY_DISABLED": "1"},
            check=False, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return run


def write(isolation: IsolationSettings | None = None) -> list[Path]:
    """Export what is missing and return the files that were written."""
    found = export.plan(MIGRATIONS, isolation)
    found.write()
    return [file.path for file in found.pending]


def apply(cluster: Cluster, *paths: Path) -> None:
    """Apply files as the CLI does, each in a transaction of its own."""
    with clusters.connect(cluster) as connection:
        for path in sorted(paths or MIGRATIONS.glob("*.sql")):
            with connection.transaction():
                connection.execute(path.read_bytes())


def succeeds(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what a push that must have succeeded said."""
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said
