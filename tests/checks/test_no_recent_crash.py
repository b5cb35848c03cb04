"""no_recent_crash: a crash leaves the server's start time alone, and is seen all the same."""

import os
import signal

import psycopg

from autosync_db.checks.model import Status
from tests.support import clusters, server
from tests.support.health import Project, result_of

ONLY = ["no_recent_crash"]


def test_crash_is_a_warning_and_a_restart_is_not(project: Project) -> None:
    clusters.wait_for(
        lambda: project.value("select clock_timestamp() > pg_postmaster_start_time() + interval '6 seconds'"),
        "a server that has run for some seconds",
    )
    started = project.value("select pg_postmaster_start_time()")
    victim = clusters.connect(project.cluster)
    os.kill(victim.info.backend_pid, signal.SIGKILL)
    clusters.wait_for(lambda: _is_closed(project), "the crash")
    project.stop_worker()
    clusters.wait_for(lambda: _reconnected(project), "the recovery")
    project.start_worker()
    server.wait_for_launcher(project)
    assert project.value("select pg_postmaster_start_time()") == started
    project.must_fail(*ONLY, status=Status.WARNING, names="server: crashed and recovered at")

    project.restart_server()
    project.must_be_healthy()


def test_role_without_pg_monitor_learns_the_grant(project: Project) -> None:
    project.create_role("plain")
    found = result_of(project.report(ONLY, role="plain"), ONLY[0])
    assert found.verdict.status is Status.UNKNOWN
    assert found.verdict.summary.endswith("grant pg_monitor to plain")


def _is_closed(project: Project) -> bool:
    try:
        project.admin.execute("select 1")
        project.owner.execute("select 1")
    except psycopg.OperationalError:
        return True
    return False


def _reconnected(project: Project) -> bool:
    try:
        project.owner = clusters.connect(project.cluster)
        project.admin = clusters.connect(project.cluster, "supabase_admin")
    except psycopg.OperationalError:
        return False
    return True
