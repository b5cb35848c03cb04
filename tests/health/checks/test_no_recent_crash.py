"""no_recent_crash: a crash leaves the server's start time alone, and is seen all the same."""

from autosync_db.health.model import Status
from tests.support import server
from tests.support.health import Project, result_of

ONLY = ["no_recent_crash"]


def test_crash_is_a_warning_and_a_restart_is_not(project: Project) -> None:
    started = project.value("select pg_postmaster_start_time()")
    server.crash(project)
    assert project.value("select pg_postmaster_start_time()") == started
    project.must_fail(*ONLY, status=Status.WARNING, names="server: crashed and recovered at")

    project.restart_server()
    project.must_be_healthy()


def test_role_without_pg_monitor_learns_the_grant(project: Project) -> None:
    project.create_role("plain")
    found = result_of(project.report(ONLY, role="plain"), ONLY[0])
    assert found.verdict.status is Status.UNKNOWN
    assert found.verdict.summary.endswith("grant pg_monitor to plain")
