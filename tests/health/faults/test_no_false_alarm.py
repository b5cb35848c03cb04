"""Where nothing is wrong verify is never critical, whatever the moment, the history or the role."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from autosync_db import config
from autosync_db.connection import connect
from autosync_db.errors import ExitCode
from autosync_db.health import catalogue
from autosync_db.health import verify as runner
from autosync_db.health.model import Report, Status
from autosync_db.jobs import plan
from autosync_db.local import cluster as local_cluster
from autosync_db.local.cluster import Cluster
from autosync_db.schema import objects, revisions
from tests.health.actions import answers_again
from tests.health.faults import look
from tests.health.faults.conftest import Note
from tests.health.faults.look import verify
from tests.health.faults.modes.server import a_run_of_pg_cron
from tests.health.faults.table import OF_ITSELF, SCENARIO
from tests.support import clusters, health, server
from tests.support.health import NEVER, LiveProject
from tests.support.workshop import Workshop, watched

Tell = Callable[..., Report]


@pytest.fixture
def tell(note: Note, workshop: Workshop) -> Tell:
    """Note what verify says of a healthy scenario, and return it."""

    def take(name: str, report: Report) -> Report:
        note(SCENARIO, workshop.environment, name, report.status.value, look.said(report))()
        return report

    return take


@pytest.fixture
def project(live: LiveProject) -> LiveProject:
    """A healthy project."""
    return live


def _age(project: LiveProject, interval: str) -> None:
    """Let all that happened have happened earlier."""
    for statement in (
        "update autosync.tick set ticked_at = ticked_at - %s::interval",
        "update autosync.invocation set queued_at = queued_at - %s::interval, settled_at = settled_at - %s::interval",
        "update cron.job_run_details set start_time = start_time - %s::interval, end_time = end_time - %s::interval",
    ):
        project.admin.execute(statement.encode(), [interval] * statement.count("%s"))
    # what pg_net knew has expired
    project.owner.execute("select autosync.settle()")
    project.admin.execute("delete from net._http_response")


def _forget(project: LiveProject) -> None:
    """Let nothing have happened: an answer of which the ledger knows no call would be that of another job."""
    project.owner.execute("truncate autosync.tick, autosync.invocation, cron.job_run_details")
    project.admin.execute("delete from net._http_response")


def _fine(report: Report) -> None:
    assert not report.root_causes, health.described(report)
    assert report.exit_code() == ExitCode.OK


def test_just_set_up(project: LiveProject, tell: Tell) -> None:
    _forget(project)
    assert project.call().value == "ok"  # set-up makes one call
    _fine(tell("just set up", verify(project)))


def test_idle_for_hours(project: LiveProject, tell: Tell) -> None:
    project.owner.execute("select autosync.settle()")
    _age(project, "7 hours")
    _fine(tell("nothing happened for seven hours", verify(project)))


def test_idle_when_nothing_is_due(project: LiveProject, tell: Tell) -> None:
    project.owner.execute("select autosync.settle()")
    _age(project, "9 days")
    project.set_job(invoke="when_due")
    for _ in range(3):
        assert project.run_by_cron() == "succeeded"
    decisions = project.value("select array_agg(decision order by id desc) from autosync.tick")
    assert decisions[:3] == ["idle"] * 3
    _fine(tell("invoke = when_due and nothing due for nine days", verify(project)))


@pytest.mark.long
def test_idle_after_a_call_that_failed(project: LiveProject, tell: Tell) -> None:
    project.stub.answer(401, {"msg": "Invalid JWT"}, "UNAUTHORIZED_LEGACY_JWT")
    project.tick()
    project.owner.execute("select autosync.settle()")
    _age(project, "3 days")
    project.owner.execute("update public.pg_cron_secrets set updated_at = now() - interval '9 days'")
    assert health.roots(verify(project)) == {"function_accepts_key": Status.CRITICAL}
    project.set_job(invoke="when_due")
    project.run_by_cron()
    report = tell("nothing was due since the last call, which failed three days ago", verify(project))
    assert health.roots(report) == {"function_accepts_key": Status.WARNING}, health.described(report)
    assert "and none was due after that" in report.root_causes[0].verdict.summary


def test_schedules_that_are_disabled(project: LiveProject, tell: Tell) -> None:
    for _ in range(3):
        project.add_schedule(enabled=False, next_run_at="now() - interval '100 days'")
    project.add_schedule(enabled=False)
    _fine(tell("all schedules are disabled", verify(project)))


def test_paused(project: LiveProject, tell: Tell) -> None:
    project.pause()
    project.add_schedule(next_run_at="now() - interval '100 days'")
    project.owner.execute("select autosync.settle()")
    _age(project, "12 days")
    report = tell("paused for days by `jobs pause`, with overdue schedules", verify(project))
    _fine(report)
    assert [note.id for note in report.notes] == ["job_active"]


def test_paused_after_a_call_that_failed(project: LiveProject, tell: Tell) -> None:
    project.stub.answer(500)
    project.tick()
    project.pause()
    report = tell("paused after a call that failed", verify(project))
    assert health.roots(report) == {"function_succeeds": Status.WARNING}, health.described(report)
    assert "before the job was paused" in report.root_causes[0].verdict.summary


def test_first_tick_is_under_way(project: LiveProject, tell: Tell) -> None:
    _forget(project)
    project.call()
    project.stub.answer(delay_seconds=1)
    with a_run_of_pg_cron(project, 0):
        project.owner.execute("select autosync.dispatch()")
        _fine(tell("the first tick is under way and its call has no answer yet", verify(project)))


@pytest.mark.long
def test_migration_that_is_not_committed(project: LiveProject, tell: Tell) -> None:
    with clusters.connection(project.cluster) as migrating:
        migrating.execute("begin")
        migrating.execute("update autosync.object set source_hash = ''")
        objects.apply(migrating, revisions.head())
        found = verify(project)
        tell("a migration applies every object and has not committed", found)
        assert health.roots(found) == {"tables_not_locked": Status.UNKNOWN}, health.described(found)


@pytest.mark.long
def test_migration_that_locks_a_table(project: LiveProject, tell: Tell) -> None:
    with clusters.connection(project.cluster) as migrating:
        migrating.execute("begin; alter table public.auto_sync_schedules add column extra integer")
        found = verify(project)
        tell("a migration has locked the table of the schedules", found)
        assert health.roots(found) == {"tables_not_locked": Status.UNKNOWN}, health.described(found)
        assert (
            "public.auto_sync_schedules: is locked against everybody by process" in found.root_causes[0].verdict.summary
        )
    _fine(verify(project))


def test_right_after_a_restart(project: LiveProject, tell: Tell) -> None:
    server.restart(project)
    with watched():
        _fine(tell("the server was restarted a moment ago", verify(project)))


@pytest.mark.long
def test_reload(project: LiveProject, tell: Tell) -> None:
    project.cluster.reload()
    with watched():
        _fine(tell("the settings were reloaded a moment ago", verify(project)))


@pytest.mark.parametrize(
    ("name", "grants"),
    [
        ("without a privilege", ""),
        *(
            pytest.param(*one, marks=pytest.mark.long)
            for one in (
                ("that reads all tables", "grant pg_read_all_data to plain"),
                ("that bypasses row level security", "alter role plain bypassrls; grant pg_read_all_data to plain"),
                ("with pg_monitor alone", "grant pg_monitor to plain"),
            )
        ),
    ],
)
def test_role_that_sees_little(name: str, grants: str, project: LiveProject, tell: Tell) -> None:
    project.create_role("plain", grants=grants)
    report = tell(f"verify is run by a role {name}", project.report(role="plain"))
    unknown = {id for id, status in health.roots(report).items() if status is Status.UNKNOWN}
    assert unknown == {"privileges_sufficient"}, health.described(report)
    assert report.status is Status.UNKNOWN
    assert "run: grant" in str(health.result_of(report, "privileges_sufficient").verdict)


@pytest.mark.long
def test_two_jobs(project: LiveProject, tell: Tell) -> None:
    settings = config.Settings.model_validate({"job": {"name": "nightly", "function": "nightly", "schedule": NEVER}})
    plan.apply(project.owner, settings)
    project.value("select autosync.dispatch('nightly')")
    _fine(tell("two jobs, each with a function of its own", verify(project)))


@pytest.mark.long
def test_each_check_alone(project: LiveProject, tell: Tell) -> None:
    reports = []
    with connect(project.cluster.url()) as connection:
        for id, check in catalogue.all_checks().items():
            if not check.probes:
                reports.append(runner.run(connection, project.configuration, only=[id]))
    failing = [result for report in reports for result in report.root_causes]
    assert not failing
    tell("every check alone, by --only", reports[0])


@pytest.mark.long
def test_runs_that_failed_only_on_paper(project: LiveProject, tell: Tell) -> None:
    for message in ("server restarted", "job canceled"):
        project.record_run("failed", message)
    project.record_run("sending", "", ended="now() - interval '2 hours'")
    project.record_run("connecting", "", ended=None)
    _fine(tell("runs marked as failed by a restart, and rows of processes that are gone", verify(project)))


@pytest.mark.long
def test_search_path_of_the_role(project: LiveProject, tell: Tell) -> None:
    project.owner.execute("create schema elsewhere; create table elsewhere.auto_sync_schedules (id integer)")
    project.admin.execute("alter role postgres set search_path = elsewhere")
    project.tick()
    _fine(tell("the job's role looks names up elsewhere", verify(project)))
    project.admin.execute("alter role postgres reset search_path")


@pytest.mark.long
def test_key_that_was_just_replaced(project: LiveProject, tell: Tell) -> None:
    project.stub.answer(401, {"msg": "Invalid JWT"}, "UNAUTHORIZED_LEGACY_JWT")
    project.tick()
    project.pause()
    project.restore_job()
    answers_again(project)
    _fine(tell("a refused call was followed by an accepted one", verify(project)))


@pytest.mark.long
def test_replica(project: LiveProject, tell: Tell) -> None:
    with _replica(project) as replica, connect(replica.url()) as connection:
        report = runner.run(connection, project.configuration)
    # the one thing to say of a replica is that it is one; what it can see it judges, the rest it lays to that
    tell(OF_ITSELF, report)
    assert health.roots(report) == {"server_is_primary": Status.CRITICAL}, health.described(report)
    healthy = {id for id, status in health.statuses(report).items() if status is Status.OK}
    assert {"head_applied", "objects_current", "job_active", "secrets_present", "secrets_table_protected"} <= healthy


@contextmanager
def _replica(project: LiveProject) -> Iterator[Cluster]:
    """Yield a hot standby of a project's server."""
    primary = project.cluster
    with (primary.data / "pg_hba.conf").open("a") as rules:
        rules.write("host replication supabase_admin 127.0.0.1/32 scram-sha-256\n")
    primary.reload()
    with clusters.scratch_folder() as folder:
        copy = clusters.prepared(primary, folder / "cluster")
        subprocess.run(
            [str(primary.installation.bin / "pg_basebackup"), "--pgdata", str(copy.data), "--write-recovery-conf",
             "--checkpoint=fast", "--no-sync"],
            env=primary.environment("supabase_admin"),
            check=True,
            capture_output=True,
            **local_cluster.server_user(),
        )  # fmt: skip
        copy.start()
        try:
            yield copy
        finally:
            copy.stop("immediate")
