"""A project whose whole chain works, for tests that break one link of it and look what the catalogue says."""

import dataclasses
from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg

from autosync_db import config
from autosync_db.credentials import store as secret_store
from autosync_db.health import catalogue, verify
from autosync_db.health import repair as repairs
from autosync_db.health.checks import pg_cron_scheduler_running
from autosync_db.health.model import CheckResult, Report, Status, Verdict
from autosync_db.jobs import calls as outcome
from autosync_db.jobs import plan, registry
from autosync_db.jobs.calls import Cause
from autosync_db.local.cluster import Cluster
from autosync_db.remedies import ByYou
from autosync_db.secret import Secret
from tests.support import clusters, command, keys
from tests.support.http_stub import Stub
from tests.support.planned import Planned
from tests.support.records import Records

# pg_cron must not tick on its own in the middle of a test
NEVER = "0 0 1 1 *"
PATIENCE = timedelta(seconds=20)


@dataclass
class Project(Records):
    """A healthy project that a test breaks: on a server of its own (LiveProject) or in a transaction (Trial)."""

    stub: Stub
    configuration: config.Configuration
    held: ExitStack = field(default_factory=ExitStack, kw_only=True)

    @abstractmethod
    def report(
        self, only: Collection[str] = (), role: str = "postgres", *, skip: Collection[str] = (), probe: bool = False
    ) -> Report:
        """Run the catalogue as `role`, without what could explain the chosen checks where that is in `skip`."""

    @abstractmethod
    def call(self, error: str | None = None, *, timed_out: bool | None = None) -> Cause:
        """Make one scheduled tick and return what became of its call; with `error` pg_net got no answer but that."""

    @abstractmethod
    def run_by_cron(self) -> str:
        """Run the job's command as pg_cron would, record it as pg_cron would, and return the recorded status."""

    @abstractmethod
    def tick(self) -> None:
        """Let pg_cron's job run once, and return when nothing that it sent is under way."""

    @abstractmethod
    def repair(self, *names: str, role: str = "postgres") -> tuple[repairs.Outcome, ...]:
        """Repair these checks as `role`, also what needs consent; something must be done, and nothing may fail."""

    @property
    def job_name(self) -> str:
        """Return the name of the scheduled job."""
        return self.configuration.settings.main.name

    def look(self, id: str, *, role: str = "postgres") -> Verdict:
        """Return what one check says, whatever explains it."""
        others = set(catalogue.all_checks()) - {id}
        return result_of(self.report([id], role, skip=others), id).verdict

    def must_be_healthy(self) -> Report:
        """Fail unless every check says ok."""
        report = self.report()
        assert not report.root_causes, described(report)
        assert {result.status for result in report.results} == {Status.OK}, described(report)
        return report

    def must_fail(self, *ids: str, status: Status = Status.CRITICAL, names: str = "") -> CheckResult:
        """Fail unless the root causes are exactly `ids`, the first with `status` and evidence of `names`."""
        report = self.report()
        assert {result.id for result in report.root_causes} == set(ids), described(report)
        found = result_of(report, ids[0])
        assert found.status is status, described(report)
        assert names in evidence(found.verdict), evidence(found.verdict)
        return found

    def must_be_blocked(self, name: str, *causes: str) -> None:
        """Fail unless a check says that it is explained by exactly `causes`."""
        report = self.report()
        assert set(result_of(report, name).blocked_by) == set(causes), described(report)

    def store(self, **secrets: str | Secret) -> None:
        """Store secrets by name."""
        values = {name: value if isinstance(value, Secret) else Secret(value) for name, value in secrets.items()}
        secret_store.store(self.owner, values)

    def value(self, statement: str, parameters: list[Any] | None = None) -> Any:
        """Return the one value of a query, as the owner."""
        row = self.owner.execute(statement.encode(), parameters).fetchone()
        assert row is not None
        return row[0]

    def schedule_job(self, schedule: str) -> None:
        """Let the job tick by a schedule, in both registries and in the settings."""
        self.set_job(schedule=schedule)

    def set_job(self, **changes: Any) -> None:
        """Give the job other settings, and apply them."""
        short = self.configuration.settings.job or config.ShortJob()
        values = {name: getattr(short, name) for name in short.model_fields_set} | changes
        settings = config.Settings(job=config.ShortJob(**values))
        self.configuration = dataclasses.replace(self.configuration, settings=settings)
        plan.apply(self.owner, settings)
        self.quiet_house()

    def add_job(self, name: str) -> None:
        """Register another job, whose call is answered; the settings name none then, so verify speaks of all."""
        self.owner.execute(
            "insert into autosync.job (name, function, schedule) values (%s, %s, %s)", [name, name, NEVER]
        )
        self.owner.execute("select autosync.sync_job(%s)", [name])
        for settings in (config.Settings(job=config.ShortJob(name=name)), config.Settings()):
            self.configuration = dataclasses.replace(self.configuration, settings=settings)
            if settings.names_jobs:
                assert self.call() is Cause.OK

    def quiet_house(self) -> None:
        """Let housekeeping run only when a test asks for it."""
        house = "autosync-keep-house"
        self.admin.execute("update autosync.job set schedule = %s where name = %s", [NEVER, house])
        self.admin.execute("update cron.job set schedule = %s where jobname = %s", [NEVER, house])

    def pause(self) -> None:
        """Pause the job as `autosync-db jobs pause` does."""
        registry.pause(self.owner, self.job_name)
        self.quiet_house()

    def restore_job(self) -> None:
        """Bring the job back to what the settings say, in both registries."""
        registry.resume(self.owner, self.job_name)
        plan.apply(self.owner, self.configuration.settings)
        self.quiet_house()

    def hold(self, held: AbstractContextManager[clusters.T]) -> clusters.T:
        """Enter something that lasts until release(), such as a session that holds a lock."""
        return self.held.enter_context(held)

    def release(self) -> None:
        """End all that is held."""
        self.held.close()
        self.held = ExitStack()


@dataclass
class LiveProject(Project):
    """A project on a running server: what a test does there is committed."""

    sessions: dict[str, psycopg.Connection[clusters.Row]] = field(default_factory=dict, kw_only=True)
    # the session of the transactions that are rolled back (trial.begun)
    trial: Any = field(default=None, kw_only=True)
    worker: ExitStack = field(default_factory=ExitStack, kw_only=True)
    has_worker: bool = field(default=False, kw_only=True)

    @property
    def owner(self) -> psycopg.Connection[clusters.Row]:
        """Return the session of postgres."""
        return self._session("postgres")

    @property
    def admin(self) -> psycopg.Connection[clusters.Row]:
        """Return the session of supabase_admin."""
        return self._session("supabase_admin")

    def _session(self, role: str) -> psycopg.Connection[clusters.Row]:
        if role not in self.sessions:
            self.sessions[role] = Planned.open(self.cluster, role)
        return self.sessions[role]

    def disconnect(self) -> None:
        """End both sessions, which forget what they know of dropped extensions; the next use opens others."""
        for session in self.sessions.values():
            session.close()
        self.sessions.clear()

    def report(
        self, only: Collection[str] = (), role: str = "postgres", *, skip: Collection[str] = (), probe: bool = False
    ) -> Report:
        """Run the catalogue in a session of `role`."""
        if role == "postgres":
            return verify.run(self.owner, self.configuration, only, skip, probe=probe)
        with clusters.connect(self.cluster, role) as connection:
            return verify.run(connection, self.configuration, only, skip, probe=probe)

    def call(self, error: str | None = None, *, timed_out: bool | None = None) -> Cause:
        """Make one scheduled tick and return what became of its call; with `error` nothing is sent."""
        if error is None:
            return self.answered(int(self.value("select autosync.dispatch(%s)", [self.job_name])))
        self.stop_worker()
        tick_id = int(self.value("select autosync.dispatch(%s)", [self.job_name]))
        self.admin.execute("delete from net.http_request_queue")
        self.admin.execute(
            "insert into net._http_response (id, timed_out, error_msg) select request_id, %s, %s"
            " from autosync.invocation order by id desc limit 1",
            [timed_out, error],
        )
        self.start_worker()
        return self.answered(tick_id)

    def answered(self, tick_id: int) -> Cause:
        """Return what became of a tick's call, once it is known."""
        calls = outcome.wait(self.owner, self.job_name, tick_id, PATIENCE)
        assert [call.cause for call in calls if call.cause is not Cause.PENDING], f"tick {tick_id} got no answer"
        return calls[0].cause

    def run_by_cron(self) -> str:
        """Run the job's command in a session like pg_cron's."""
        command, username = self.admin.execute(
            "select command, username from cron.job where jobname = %s order by jobid limit 1", [self.job_name]
        ).fetchall()[0]
        url = self.cluster.url(username).reveal()
        with psycopg.connect(url, autocommit=True, application_name="pg_cron") as session:
            try:
                done = session.execute(command.encode())
            except psycopg.Error as error:
                self.record_run("failed", f"ERROR:  {error.diag.message_primary}\n")
                return "failed"
        self.record_run("succeeded", f"{done.rowcount} row" if done.rowcount == 1 else str(done.statusmessage))
        return "succeeded"

    def tick(self) -> None:
        """Let pg_cron's job run once, and return when nothing that it sent is under way."""
        self.run_by_cron()
        clusters.wait_for(
            lambda: (
                not self.value(
                    "select exists (select from autosync.recent_outcomes(%s, 50) as o where o.cause = 'pending')",
                    [self.job_name],
                )
            ),
            "an answer",
        )

    def repair(self, *names: str, role: str = "postgres") -> tuple[repairs.Outcome, ...]:
        """Repair these checks in a session of `role`."""
        with clusters.connect(self.cluster, role) as connection:
            return repaired(connection, self.configuration, names)

    def run_command(self, *arguments: str, stdin: str = "") -> command.Result:
        """Run `autosync-db ARGUMENTS` on this project; it must succeed."""
        return command.succeeds(command.run(*arguments, database=self.cluster.url(), stdin=stdin))

    def run_verify(self) -> command.Result:
        """Run `autosync-db verify` on this project, whatever it finds."""
        return command.run("verify", database=self.cluster.url())

    def run_remedy(self, name: str) -> None:
        """Run a check's remedy as it is written: statements as the owner, commands and repairs in this process."""
        written = catalogue.find(name).remedy
        # of what the user does, the command that follows it
        remedy = written.then if isinstance(written, ByYou) else written
        assert remedy is not None
        remedy = remedy.replace(" {job}", f" {self.job_name}")
        if remedy.startswith("autosync-db repair "):
            self.repair(*remedy.split()[2:])
        elif remedy.startswith("autosync-db "):
            self.run_command(*remedy.removeprefix("autosync-db ").split())
        else:
            self.owner.execute(remedy.encode())

    def start_worker(self) -> None:
        """Start the pg_net worker."""
        self.worker.enter_context(clusters.pg_net_worker(self.cluster))
        self.has_worker = True

    def stop_worker(self) -> None:
        """Stop the pg_net worker."""
        self.has_worker = False
        self.worker.close()
        self.worker = ExitStack()

    def stop_server(self) -> None:
        """Stop PostgreSQL and the stand-in's worker; the real one ends with it."""
        if self.cluster.stand_in:
            self.stop_worker()
        self.disconnect()
        self.cluster.stop()

    def start_server(self, *, worker: bool = True) -> None:
        """Start PostgreSQL, which was stopped, and the stand-in's worker unless `worker` is false."""
        self.cluster.start()
        if not worker:
            return
        if self.cluster.stand_in:
            self.start_worker()
        else:
            clusters.wait_for_real_worker(self.cluster)

    def restart_server(self) -> None:
        """Restart PostgreSQL and its worker."""
        self.stop_server()
        self.start_server()
        clusters.wait_for(
            lambda: self.owner.execute(
                "select 1 from pg_stat_activity where application_name = 'pg_cron scheduler'"
            ).fetchone(),
            "pg_cron's scheduler",
        )

    def close(self) -> None:
        """End what runs beside the server."""
        self.release()
        self.stop_worker()
        self.disconnect()


def repaired(
    connection: psycopg.Connection[clusters.Row], configuration: config.Configuration, names: Collection[str]
) -> tuple[repairs.Outcome, ...]:
    """Repair these checks, also what needs consent: something must be done, nothing fail, and they say ok then."""
    report = verify.run(connection, configuration, names)
    plan = repairs.plan(connection, configuration, report, names)
    assert plan.proposals, f"{plan.refusals}\n{described(report)}"
    outcomes = repairs.apply(connection, configuration, plan.proposals)
    assert not [outcome for outcome in outcomes if outcome.error], outcomes
    clusters.wait_for(
        lambda: verify.run(connection, configuration, names).status is Status.OK, f"{', '.join(names)} to say ok", 5
    )
    return outcomes


@contextmanager
def patched(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Give a module's name another value for the time of the block."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def launcher_that_counts_as_settled() -> AbstractContextManager[None]:
    """Take a pg_cron process that was just started for one that stays: watching it would cost every test seconds."""
    return patched(pg_cron_scheduler_running, "YOUNG_SECONDS", 0.0)


def impatience() -> AbstractContextManager[None]:
    """Look for answers more often than the command line does: they come within milliseconds here."""
    return patched(outcome, "_POLL_SECONDS", 0.02)


@contextmanager
def healthy(cluster: Cluster, stub: Stub) -> Iterator[LiveProject]:
    """Yield a project on a cluster at head: secrets stored, worker running, one call answered with 200.

    Its settings are in autosync.toml in the current folder.
    """
    Path("autosync.toml").write_text(f'[job]\nschedule = "{NEVER}"\n')
    configuration = config.load(config.Flags(database_url=cluster.url()))
    # a copy, because a test may add roles and the template's passwords serve the whole session
    cluster = dataclasses.replace(cluster, passwords=dict(cluster.passwords))
    project = LiveProject(cluster, stub, configuration)
    with impatience():
        try:
            plan.apply(project.owner, configuration.settings)
            project.quiet_house()
            project.store(project_url=stub.url, service_role_key=keys.legacy())
            project.start_worker()
            assert project.call() is Cause.OK
            yield project
        finally:
            project.close()


def result_of(report: Report, name: str) -> CheckResult:
    """Return one check's result."""
    return next(result for result in report.results if result.id == name)


def evidence(verdict: Verdict) -> str:
    """Return all that a check found."""
    return " | ".join(f"{found.object}: {found.detail}" for found in verdict.evidence)


def statuses(report: Report) -> dict[str, Status]:
    """Return every check's status by id."""
    return {result.id: result.status for result in report.results}


def roots(report: Report) -> dict[str, Status]:
    """Return the status of every root cause by id."""
    return {result.id: result.status for result in report.root_causes}


def described(report: Report) -> str:
    """Return everything that is not ok, for the message of a failed assertion."""
    return "\n".join(
        f"{result.status.value} {result.id} {result.blocked_by} {result.verdict.summary}"
        for result in report.results
        if result.status is not Status.OK
    )
