"""cron_history_recorded: an empty history proves nothing while pg_cron writes none."""

from autosync_db.health import catalogue
from autosync_db.health.model import Status
from tests.support.health import Project, result_of


def test_history_that_is_not_written_is_a_warning_until_it_is(project: Project) -> None:
    project.admin.execute("alter system set cron.log_run = off")
    project.restart_server()
    project.must_fail("cron_history_recorded", status=Status.WARNING, names="cron.log_run: is off")

    remedy = catalogue.find("cron_history_recorded").remedy
    assert remedy is not None
    project.admin.execute(remedy.partition(";")[0].encode())
    project.restart_server()
    project.must_be_healthy()


def test_role_without_pg_monitor_learns_the_grant(project: Project) -> None:
    project.create_role("plain")
    only = ["cron_history_recorded"]
    found = result_of(project.report(only, role="plain"), only[0])
    assert found.verdict.status is Status.UNKNOWN
    assert found.verdict.summary.endswith("grant pg_monitor to plain")
    project.admin.execute("grant pg_monitor to plain")
    assert result_of(project.report(only, role="plain"), only[0]).status is Status.OK
