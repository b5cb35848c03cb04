"""What the tests of more than one module here start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import clusters
from tests.support.cron_jobs import TOKEN, Project
from tests.support.http_stub import Stub

VAULT = (Path(__file__).parents[1] / "support" / "vault.sql").read_text()


@pytest.fixture
def project(blank: Cluster, stub: Stub) -> Iterator[Project]:
    """A project that the toolkit has never seen, with a vault."""
    with clusters.pg_net_worker(blank):
        made = Project(blank, stub)
        made.admin(VAULT)
        made.execute("create extension if not exists pg_cron")
        made.execute("create extension if not exists pg_net with schema extensions")
        made.execute("select vault.create_secret(%s, 'project_url')", [stub.url])
        made.execute("select vault.create_secret(%s, 'edge key')", [made.key.reveal()])
        made.execute("select vault.create_secret(%s, 'token')", [TOKEN])
        made.admin(f"alter database postgres set app.token = '{TOKEN}'")
        yield made
