"""Healthy projects to break: one that was mended serves the next mode, anything else is replaced."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from autosync_db import config
from autosync_db.connection import connect
from autosync_db.errors import UnreachableError
from autosync_db.health import verify as runner
from autosync_db.health.checks import pg_cron_scheduler_running
from autosync_db.health.model import Report, Status
from autosync_db.local.cluster import Cluster
from tests.health.faults import guide
from tests.health.faults.mode import Mode
from tests.support import clusters, health, http_stub
from tests.support.health import NEVER, Project


@dataclass(slots=True)
class Workshop:
    """A source of healthy projects that cost little: most of them are the one before, mended."""

    template: Cluster
    guide_when_healthy: str = ""
    environment: str = ""
    _project: Project | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def healthy(self) -> Project:
        """Return a project on which every check says ok, with some succeeded runs behind it."""
        # the settings belong into the current folder, which differs from test to test
        Path("autosync.toml").write_text(f'[job]\nschedule = "{NEVER}"\n')
        if self._project is not None:
            try:
                self._tidy(self._project)
                self._project.must_be_healthy()
            except Exception:
                self.discard()
            else:
                return self._project
        cluster = self._stack.enter_context(clusters.cloned(self.template))
        clusters.keep_quiet(cluster)
        stub = self._stack.enter_context(http_stub.serve())
        project = self._stack.enter_context(health.healthy(cluster, stub))
        for _ in range(5):
            project.tick()
        project.must_be_healthy()
        self.guide_when_healthy = guide.look(project)
        self.environment = _environment(project)
        self._project = project
        return project

    def discard(self) -> None:
        """Throw the project away: its faults cannot be mended."""
        self._project = None
        self._stack.close()
        self._stack = ExitStack()

    def _tidy(self, project: Project) -> None:
        project.release()
        project.configuration = config.load(config.Flags(database_url=project.cluster.url()))
        project.stub.answer()
        project.restore_job()
        project.owner.execute("delete from public.auto_sync_schedules")
        # the guide looks at the newest runs: those of another mode are not this one's
        project.admin.execute("delete from cron.job_run_details where status <> 'succeeded' or end_time is null")
        runs = "select count(*) from cron.job_run_details as d join cron.job as j on j.jobid = d.jobid"
        while int(project.value(runs)) < 5:
            project.record_run("succeeded", "1 row")
        project.tick()


def _environment(project: Project) -> str:
    rows = project.owner.execute("select extname, extversion from pg_extension where extname in ('pg_cron', 'pg_net')")
    versions: dict[str, str] = dict(rows.fetchall())
    net = "the stand-in of pg_net" if project.cluster.stand_in else f"pg_net {versions['pg_net']}"
    server = project.value("show server_version").partition(" ")[0]
    return f"Measured on PostgreSQL {server} with pg_cron {versions['pg_cron']} and {net}."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verify said, after so many seconds."""

    report: Report
    seconds: float

    @property
    def roots(self) -> dict[str, Status]:
        """Return the status of every root cause by id, worst first."""
        return {result.id: result.status for result in self.report.root_causes}


def verify(project: Project, mode: Mode | None = None) -> Verdict:
    """Run verify as its command does: on a connection of its own, as the mode's role and at its address."""
    url = project.cluster.url(mode.role if mode else "postgres")
    if mode and mode.url:
        url = mode.url(project)
    with watched() if mode and mode.watched else nullcontext():
        began = monotonic()
        try:
            with connect(url) as connection:
                report = runner.run(connection, project.configuration, probe=mode is not None and mode.probe)
        except UnreachableError as error:
            report = runner.unreachable(project.configuration, error)
        return Verdict(report, monotonic() - began)


@contextmanager
def mended(project: Project, mode: Mode) -> Iterator[None]:
    """Mend a fault by repair or by hand, and after the block take back what was no fault."""
    if mode.repairable:
        project.repair(mode.names, role=mode.repaired_by)
    elif mode.mend:
        mode.mend(project)
    yield
    if mode.tidy:
        mode.tidy(project)


@contextmanager
def watched() -> Iterator[None]:
    """Let verify watch pg_cron's process as it does outside of tests."""
    with health.patched(pg_cron_scheduler_running, "YOUNG_SECONDS", 5.0):
        yield
