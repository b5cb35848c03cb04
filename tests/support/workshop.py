"""Projects on servers of their own that tests break: a server that was put right serves the next test.

Whether it was is not left to the test. When a test ends, however it ends, what it changed is taken back as far as that
takes no restart. A server on which a check fails after that, or that is not as it was, is thrown away.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autosync_db import config
from autosync_db.health.checks import pg_cron_scheduler_running
from autosync_db.local.cluster import Cluster
from tests.support import clusters, guard, health, http_stub
from tests.support.health import NEVER, LiveProject

_RUNS = "select count(*) from cron.job_run_details as d join cron.job as j on j.jobid = d.jobid"


@dataclass
class Workshop:
    """A source of healthy projects, of which there is one at a time."""

    template: Cluster
    environment: str = ""
    made: int = 0
    _project: LiveProject | None = None
    _before: dict[str, Any] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    @contextmanager
    def lent(self) -> Iterator[LiveProject]:
        """Lend a project on which every check says ok, with five succeeded runs behind it."""
        project = self._project or self._new()
        _settle_in(project)
        try:
            yield project
        finally:
            if self.left_behind():
                self.discard()

    def left_behind(self) -> list[str]:
        """Take back what can be taken back, and return what the last test left behind all the same."""
        project = self._project
        if project is None:
            return []
        try:
            _tidy(project)
            project.must_be_healthy()
            after = _state(project)
            return [part for part, found in self._before.items() if after.get(part) != found]
        except Exception as error:
            return [repr(error)]

    def discard(self) -> None:
        """Throw the project away."""
        self._project = None
        try:
            self._stack.close()
        finally:
            self._stack = ExitStack()

    def _new(self) -> LiveProject:
        cluster = self._stack.enter_context(clusters.cloned(self.template))
        clusters.keep_quiet(cluster)
        stub = self._stack.enter_context(http_stub.serve())
        project = self._stack.enter_context(health.healthy(cluster, stub))
        for _ in range(5):
            project.tick()
        project.must_be_healthy()
        self._before = _state(project)
        self.environment = environment(project)
        self._project = project
        self.made += 1
        return project


def _state(project: LiveProject) -> dict[str, Any]:
    """Return what a test may have changed; a server that was only restarted is as good as before."""
    return {part: found for part, found in (guard.state(project.cluster) or {}).items() if part != "start"}


def _settle_in(project: LiveProject) -> None:
    """Give the current folder, which differs from test to test, the project's settings."""
    Path("autosync.toml").write_text(f'[job]\nschedule = "{NEVER}"\n')
    project.configuration = config.load(config.Flags(database_url=project.cluster.url()))


def _tidy(project: LiveProject) -> None:
    project.release()
    # the test may have written others
    _settle_in(project)
    project.stub.answer()
    project.stub.judge = None
    if not project.has_worker:
        project.start_worker()
    project.restore_job()
    project.owner.execute("delete from public.auto_sync_schedules")
    project.owner.execute("delete from autosync.setting where name = 'proven_address'")
    # a next test looks at the newest runs and calls: those of another are not its own
    project.admin.execute("delete from cron.job_run_details where status <> 'succeeded' or end_time is null")
    for _ in range(5 - int(project.value(_RUNS))):
        project.record_run("succeeded", "1 row")
    project.tick()


def environment(project: LiveProject) -> str:
    """Return in a sentence on which versions a project runs."""
    rows = project.owner.execute("select extname, extversion from pg_extension where extname in ('pg_cron', 'pg_net')")
    versions: dict[str, str] = dict(rows.fetchall())
    net = "the stand-in of pg_net" if project.cluster.stand_in else f"pg_net {versions['pg_net']}"
    server = project.value("show server_version").partition(".")[0]
    return f"Measured on PostgreSQL {server} with pg_cron {versions['pg_cron']} and {net}."


@contextmanager
def watched() -> Iterator[None]:
    """Let verify watch pg_cron's process as it does outside of tests."""
    with health.patched(pg_cron_scheduler_running, "YOUNG_SECONDS", 5.0):
        yield
