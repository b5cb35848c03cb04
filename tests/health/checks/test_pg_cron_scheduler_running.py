"""pg_cron_scheduler_running: a launcher that was terminated, or dies and comes back, is told from one just started."""

import time

import pytest

from autosync_db.health.model import Status
from tests.support import clusters, server, versions
from tests.support.health import Project, result_of

ONLY = ["pg_cron_scheduler_running"]
pytestmark = pytest.mark.young_launcher


def test_terminated_launcher_is_the_root_cause_until_a_restart(project: Project) -> None:
    versions.needs_older_pg_cron(project.cluster, versions.RETURNS, "a terminated launcher that stays away")
    project.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg_cron scheduler'"
    )
    clusters.wait_for(lambda: server.launcher(project) is None, "the launcher's end")
    project.add_schedule(next_run_at="now() - interval '100 days'")
    project.must_fail("pg_cron_scheduler_running", names="no such process is connected")
    project.must_be_blocked("schedules_not_overdue", "pg_cron_scheduler_running")

    project.owner.execute("delete from public.auto_sync_schedules")
    project.restart_server()
    project.must_be_healthy()


def test_terminated_launcher_that_comes_back_is_no_fault(project: Project) -> None:
    versions.needs_pg_cron(project.cluster, versions.RETURNS, "a launcher that comes back")
    before = server.launcher(project)
    project.admin.execute("select pg_terminate_backend(%s)", [before])
    clusters.wait_for(lambda: server.launcher(project) not in (None, before), "another launcher")
    project.must_be_healthy()


def test_launcher_that_found_no_worker_process_is_the_root_cause_until_there_is_one(project: Project) -> None:
    if not project.cluster.stand_in:
        pytest.skip("pg_net's own process finds no place then either")
    server.configure(project, "max_worker_processes = 0")
    server.restart(project)
    project.must_fail("pg_cron_scheduler_running", names="no such process is connected")

    server.configure(project)
    project.restart_server()
    project.must_be_healthy()


def test_launcher_that_dies_again_and_again_is_never_taken_for_a_running_one(project: Project) -> None:
    server.orphan_job(project)
    clusters.wait_for(lambda: server.launcher(project) is None, "the launcher's end")
    # wherever in the loop the first look falls
    for part in range(4):
        with clusters.connect(project.cluster) as connection:
            connection.execute("select pg_sleep(%s)", [part / 4])
        assert result_of(project.report(ONLY), ONLY[0]).verdict.status is Status.CRITICAL


def test_role_without_pg_monitor_sees_the_launcher(project: Project) -> None:
    project.create_role("plain")
    assert result_of(project.report(ONLY, role="plain"), ONLY[0]).status is Status.OK


def test_launcher_just_started_is_fine_and_an_older_one_costs_no_second_look(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.restart_server()
    assert result_of(project.report(ONLY), ONLY[0]).status is Status.OK

    server.wait_for_launcher(project)
    clusters.wait_for(
        lambda: project.value(
            "select clock_timestamp() > backend_start + interval '5 seconds' from pg_stat_activity"
            " where application_name = 'pg_cron scheduler'"
        ),
        "a launcher of some age",
    )
    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", lambda _seconds: pytest.fail("it looked again"))
        project.must_be_healthy()
