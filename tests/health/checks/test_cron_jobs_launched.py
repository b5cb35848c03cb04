"""cron_jobs_launched: a pg_cron that is told to start nothing says so nowhere else."""

from autosync_db.health.model import Status
from tests.support import server, versions
from tests.support.health import Project, result_of

ONLY = ["cron_jobs_launched"]


def test_switched_off_launching_is_the_root_cause_of_overdue_schedules(project: Project) -> None:
    if versions.pg_cron(project.cluster) < versions.RETURNS:
        server.pretend_setting(project, "cron.launch_active_jobs", "off")
    else:
        server.configure(project, "cron.launch_active_jobs = off")
        project.restart_server()
    project.add_schedule(next_run_at="now() - interval '100 days'")
    project.must_fail("cron_jobs_launched", names="cron.launch_active_jobs: is off")
    project.must_be_blocked("schedules_not_overdue", "cron_jobs_launched")
    if versions.pg_cron(project.cluster) < versions.RETURNS:
        server.pretend_setting(project, "cron.launch_active_jobs", "on")
    else:
        server.configure(project)
        project.restart_server()
    project.owner.execute("delete from public.auto_sync_schedules")
    project.must_be_healthy()


def test_line_that_an_old_pg_cron_ignores_is_no_fault(project: Project) -> None:
    versions.needs_older_pg_cron(project.cluster, versions.RETURNS, "a cron.launch_active_jobs that means nothing")
    server.configure(project, "cron.launch_active_jobs = off")
    project.must_be_healthy()


def test_role_that_cannot_see_it_says_so_where_the_setting_exists(project: Project) -> None:
    project.create_role("plain")
    project.admin.execute("update pg_catalog.pg_extension set extversion = '1.4-1' where extname = 'pg_cron'")
    assert result_of(project.report(ONLY, role="plain"), ONLY[0]).status is Status.OK
    project.admin.execute("update pg_catalog.pg_extension set extversion = '1.6' where extname = 'pg_cron'")
    found = result_of(project.report(ONLY, role="plain"), ONLY[0])
    assert found.verdict.status is Status.UNKNOWN
    assert "grant pg_monitor to plain" in found.verdict.summary
