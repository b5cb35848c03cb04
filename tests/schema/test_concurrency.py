"""Any number of migrations at once: one works, the others wait and find nothing to do, the end is a lone run's."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.schema import locks, migrate
from autosync_db.schema import revisions as revision
from autosync_db.secret import Secret
from tests.schema import catalog, interrupted
from tests.support import clusters, command

ROOT = Path(__file__).parents[2]
# for longer than a role's limit below
WAITING = """
select count(*)
from pg_locks as l
where l.locktype = 'advisory' and not l.granted and l.waitstart < clock_timestamp() - interval '1 second'
"""


@contextmanager
def held_back(cluster: Cluster, number: int) -> Iterator[None]:
    """Hold the lock of migrations until `number` of them, begun in the block, wait for it."""
    # not as the role whose limits are for those that wait
    with clusters.connect(cluster, "supabase_admin") as barrier:
        barrier.execute("select pg_advisory_lock(%s)", [locks.ADVISORY_LOCK])
        yield
        clusters.wait_for(lambda: barrier.execute(WAITING).fetchone() == (number,), "all to wait", patience=150)


def _upgrade(url: str, answers: Any) -> None:
    done = migrate.upgrade(Secret(url))
    answers.put((done.before, done.after, done.revisions, done.objects))


@pytest.mark.parametrize(
    ("template", "settings", "at_once"),
    [
        pytest.param("blank_template", {}, 20, marks=pytest.mark.long, id="empty"),
        pytest.param("deployed_template", {}, 20, marks=pytest.mark.long, id="deployed"),
        # who waited must see what the other did, and may have to wait for longer than for anything else
        pytest.param(
            "deployed_template",
            {"default_transaction_isolation": "serializable", "statement_timeout": "1s", "lock_timeout": "1s"},
            8,
            id="role with settings",
        ),
    ],
)
def test_of_many_at_once_one_works(
    template: str, settings: dict[str, str], at_once: int, children: ForkServerContext, request: pytest.FixtureRequest
) -> None:
    source: Cluster = request.getfixturevalue(template)
    with clusters.cloned(source) as alone:
        kept = interrupted.rows(alone)
        migrate.upgrade(alone.url())
        expected = catalog.snapshot(alone)
    with clusters.cloned(source) as cluster:
        with clusters.connect(cluster, "supabase_admin") as admin:
            for name, value in settings.items():
                admin.execute(f"alter role postgres set {name} = '{value}'".encode())
        answers = children.Queue()
        with held_back(cluster, at_once):
            running = [
                children.Process(target=_upgrade, args=(cluster.url().reveal(), answers)) for _ in range(at_once)
            ]
            for process in running:
                process.start()
        for process in running:
            process.join(120)
        assert [process.exitcode for process in running] == [0] * at_once
        outcomes = sorted((answers.get() for _ in running), key=lambda outcome: -len(outcome[2]))
        before, after, revisions, objects = outcomes[0]
        assert (before, after, revisions) == (None, revision.head(), revision.known())
        assert objects
        assert outcomes[1:] == [(revision.head(), revision.head(), [], [])] * (at_once - 1)
        assert catalog.snapshot(cluster) == expected
        assert interrupted.rows(cluster) == kept


@pytest.mark.long
def test_alembic_and_migrate_at_once_end_well(deployed_template: Cluster) -> None:
    with clusters.cloned(deployed_template) as cluster:
        kept = interrupted.rows(cluster)
        with held_back(cluster, 2):
            running = [
                subprocess.Popen(
                    [sys.executable, "-m", *arguments],
                    cwd=ROOT, env={**command.environment(cluster.url()), "PYTHONPATH": str(ROOT)},
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                )
                for arguments in (["alembic", "upgrade", "head"], ["autosync_db", "migrate"])
            ]  # fmt: skip
        said = [process.communicate(timeout=60)[0] for process in running]
        assert [process.returncode for process in running] == [0, 0], said
        assert migrate.plan(cluster.url()).is_current
        assert interrupted.rows(cluster) == kept
