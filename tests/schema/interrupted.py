"""Processes that migrate and are ended midway, and what their database must look like afterwards."""

import difflib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from autosync_db import cli
from autosync_db.local.cluster import Cluster
from autosync_db.schema import locks, migrate
from autosync_db.secret import Secret
from tests.schema import catalog
from tests.support import clusters, cutting_proxy
from tests.support.cutting_proxy import Proxy

UNTOUCHED, DONE = "untouched", "done"
# what a row of these holds does not matter: which version of it is the current one, does
_CATALOGS = (
    "pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_default_acl", "pg_depend", "pg_description",
    "pg_extension", "pg_index", "pg_namespace", "pg_policy", "pg_proc", "pg_rewrite", "pg_shdepend", "pg_trigger",
    "pg_type",
)  # fmt: skip
_TABLES = """
select n.nspname, c.relname
from pg_class as c
join pg_namespace as n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname in ('auth', 'autosync', 'public') or c.oid = to_regclass('cron.job')
order by 1, 2
"""
_LEFT_BEHIND = """
select format('session %%s: %%s', a.pid, a.query) from pg_stat_activity as a where a.application_name = %(name)s
union all
select format('advisory lock of %%s', l.pid) from pg_locks as l where l.locktype = 'advisory'
"""
# the columns that an adoption changes are not among them
_SCHEDULES = """
select id, integration_id, organization_id, enabled, direction, conflict_resolution, only_online, time_window_enabled,
    time_window_start, device_filter, device_tags, last_run_at, last_run_status, last_run_summary, created_at,
    updated_at, created_by, updated_by
from public.auto_sync_schedules order by id
"""
_SECRETS = "select name, secret, created_at, updated_at from public.pg_cron_secrets order by name"

_PRELOADED = (
    "tests.schema.interrupted", "autosync_db.cli.migrate", "autosync_db.cli.rollback", "alembic.command", "jinja2",
    "sqlalchemy.dialects.postgresql.psycopg",
)  # fmt: skip


def children() -> ForkServerContext:
    """Return where processes begin with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED])
    return context


def upgrade(url: str) -> None:
    """What a child does: bring the database to head."""
    migrate.upgrade(Secret(url))


def upgrade_impatiently(url: str) -> None:
    """What a child does: the same, but it waits for locks no longer than a moment."""
    locks.LOCK_TIMEOUT = "200ms"
    upgrade(url)


def downgrade(url: str) -> None:
    """What a child does: go back to before the first revision, or to the adopted tables."""
    migrate.downgrade(Secret(url), "base", drop_rows=True)


def command(url: str, arguments: list[str], errors: Path) -> None:
    """What a child does: run a command of the real command line, with stderr in a file."""
    with errors.open("w") as target:
        os.dup2(target.fileno(), sys.stderr.fileno())
    os.environ["AUTOSYNC_DATABASE_URL"] = url
    cli.app(arguments)


def fingerprint(connection: psycopg.Connection[Any]) -> str:
    """Return what any change of the schema or of a row would change: the current row versions, and the rows' text."""
    parts = [
        sql.SQL("select {}, count(*), sum(hashtextextended(concat_ws(' ', x.ctid, x.xmin), 0)) from {} as x").format(
            sql.Literal(name), sql.Identifier("pg_catalog", name)
        )
        for name in _CATALOGS
    ]
    parts += [
        sql.SQL("select {}, count(*), sum(hashtextextended(concat_ws(' ', x.ctid, x.xmin, x), 0)) from {} as x").format(
            sql.Literal(".".join(name)), sql.Identifier(*name)
        )
        for name in connection.execute(_TABLES).fetchall()
    ]
    # in an order of our own: a server that works on parts in parallel has none
    return "\n".join(sorted(str(row) for row in connection.execute(sql.SQL(" union all ").join(parts))))


def rows(cluster: Cluster) -> list[Any]:
    """Return what a migration must keep of the rows of an adopted database."""
    with clusters.connect(cluster) as connection:
        if not catalog.exists(connection, "public.auto_sync_schedules"):
            return []
        return connection.execute(_SCHEDULES).fetchall() + connection.execute(_SECRETS).fetchall()


@dataclass
class Ground:
    """A copy of a template with a relay before it, on which `work` is begun, ended midway, and done again."""

    template: Cluster
    work: Callable[[str], None]
    children: ForkServerContext
    outcomes: dict[str, int] = field(init=False)
    finished_after: int = field(init=False)
    cluster: Cluster = field(init=False)
    proxy: Proxy = field(init=False)
    _before: str = field(init=False)
    _done: str = field(init=False)
    _rows: list[Any] = field(init=False)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        with clusters.cloned(self.template) as alone:
            self._rows = rows(alone)
            self.work(alone.url().reveal())
            self._done = catalog.snapshot(alone)

    def begin(self) -> "Ground":
        """Return this on a fresh copy, with nothing counted yet."""
        self.outcomes, self.finished_after = {UNTOUCHED: 0, DONE: 0}, 0
        self.renew()
        return self

    def renew(self) -> None:
        """Begin again on a fresh copy."""
        self._stack.close()
        self.cluster = self._stack.enter_context(clusters.cloned(self.template))
        self.proxy = self._stack.enter_context(cutting_proxy.relay(self.cluster))
        with clusters.connect(self.cluster, "supabase_admin") as admin:
            self._before = fingerprint(admin)

    def tally(self) -> dict[str, int]:
        """Return how often the work was ended, what was found, and how many next runs finished."""
        return {"ended": sum(self.outcomes.values()), **self.outcomes, "finished": self.finished_after}

    def close(self) -> None:
        """Leave nothing."""
        self._stack.close()

    def start(self, url: str, work: Callable[[str], None] | None = None) -> ForkServerProcess:
        """Begin the work, or another, in a process of its own."""
        child = self.children.Process(target=work or self.work, args=(url,))
        child.start()
        return child

    def boundaries(self, work: Callable[[str], object] | None = None) -> int:
        """Return how often the server answers in a run of the work or another; the commit's answer is the last."""
        self.proxy.arm(None)
        (work or self.work)(self.proxy.url().reveal())
        found = self.proxy.finished
        self.renew()
        return found

    def kill_at(self, point: int) -> bool:
        """Do the work, kill it when the server has answered so often; return whether it came to that."""
        started = threading.Event()

        def kill() -> None:
            started.wait()
            child.kill()

        self.proxy.arm(point, kill)
        child = self.start(self.proxy.url().reveal())
        started.set()
        child.join(60)
        assert child.exitcode in {0, -signal.SIGKILL}, f"at {point}: exit {child.exitcode}"
        assert self.proxy.was_cut == (child.exitcode == -signal.SIGKILL)
        return self.proxy.was_cut

    def judge(self, what: str) -> str:
        """Return whether the database is untouched, or all is done; fail when it is neither or something is left."""
        with clusters.connection(self.cluster, "supabase_admin") as admin:
            clusters.wait_for(
                lambda: not admin.execute(_LEFT_BEHIND, {"name": "autosync-db"}).fetchall(), "the end of the session"
            )
            found = fingerprint(admin)
        if found == self._before:
            state = UNTOUCHED
        else:
            changed = set(found.splitlines()) - set(self._before.splitlines())
            self.check_done(f"{what}: {sorted(changed)} changed")
            state = DONE
        self.outcomes[state] += 1
        return state

    def check_done(self, what: str) -> None:
        """Fail unless the database is as after a lone run, with every row."""
        found = catalog.snapshot(self.cluster)
        difference = list(difflib.unified_diff(self._done.splitlines(), found.splitlines(), lineterm="", n=0))
        assert not difference, f"{what}: neither untouched nor done: {difference[:20]}"
        assert rows(self.cluster) == self._rows, f"{what}: rows were lost"

    def finish(self, what: str) -> None:
        """Do the work again, as the user would, and begin again."""
        self.work(self.cluster.url().reveal())
        self.check_done(f"the next run after {what}")
        self.finished_after += 1
        self.renew()


@contextmanager
def ground(template: Cluster, work: Callable[[str], None], context: ForkServerContext) -> Iterator[Ground]:
    """Yield the ground for one kind of work."""
    made = Ground(template, work, context)
    try:
        yield made
    finally:
        made.close()
