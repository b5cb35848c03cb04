"""pg_cron_preloaded: a server that started without the library is the root cause of a missing process."""

from autosync_db.health.model import Status
from tests.support import clusters, server
from tests.support.health import Project, result_of


def test_library_that_was_not_loaded_is_the_root_cause_until_it_is(project: Project) -> None:
    rest = "pg_net" if clusters.REAL_PG_NET else ""
    server.configure(project, f"shared_preload_libraries = '{rest}'")
    server.restart(project)
    # the lines about it in the file are still shown
    assert project.value("select current_setting('cron.database_name')") == "postgres"
    project.must_fail("pg_cron_preloaded", names="does not name pg_cron")
    project.must_be_blocked("pg_cron_scheduler_running", "pg_cron_preloaded")

    project.create_role("plain")
    only = ["pg_cron_preloaded"]
    found = result_of(project.report(only, role="plain"), only[0])
    assert found.verdict.status is Status.UNKNOWN
    assert "grant pg_monitor to plain" in found.verdict.summary

    project.admin.execute("drop role plain")
    server.configure(project)
    project.restart_server()
    project.must_be_healthy()


def test_role_without_pg_monitor_sees_it_by_its_process(project: Project) -> None:
    project.create_role("plain")
    only = ["pg_cron_preloaded"]
    assert result_of(project.report(only, role="plain"), only[0]).status is Status.OK
