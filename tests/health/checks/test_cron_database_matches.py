"""cron_database_matches: jobs in a database that pg_cron does not read are kept and never started."""

import pytest

from autosync_db.health.model import Status
from tests.support import server
from tests.support.health import Project, result_of


def test_other_database_is_the_root_cause_of_overdue_schedules(project: Project) -> None:
    project.admin.execute("create database other")
    project.admin.execute("alter system set cron.database_name = 'other'")
    project.restart_server()
    project.add_schedule(next_run_at="now() - interval '100 days'")
    project.must_fail("cron_database_matches", names="names the database other: jobs in postgres are kept")
    project.must_be_blocked("schedules_not_overdue", "cron_database_matches")

    project.create_role("plain")
    only = ["cron_database_matches"]
    assert result_of(project.report(only, role="plain"), only[0]).verdict.status is Status.CRITICAL

    project.admin.execute("drop role plain")
    project.admin.execute("alter system reset cron.database_name")
    project.restart_server()
    project.owner.execute("delete from public.auto_sync_schedules")
    project.must_be_healthy()


@pytest.mark.young_launcher
def test_missing_database_explains_a_process_that_dies(project: Project) -> None:
    project.admin.execute("alter system set cron.database_name = 'nope'")
    server.restart(project)
    project.must_fail("cron_database_matches", names="names the database nope, which does not exist")
    project.must_be_blocked("pg_cron_scheduler_running", "cron_database_matches")
