"""job_owner_matches: a job that another role owns is named with that role, because only it can change the job."""

from autosync_db.health.model import Status
from tests.support.health import NEVER, Project, result_of


def test_job_of_another_role_is_the_root_cause_until_it_is_scheduled_anew(project: Project) -> None:
    project.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    project.admin.execute("select cron.schedule('auto-sync-cron-job', %s, 'select autosync.dispatch()')", [NEVER])
    found = project.must_fail("job_owner_matches", names="belongs to the role supabase_admin, so postgres")
    assert "runs as a superuser" in found.verdict.summary

    project.repair("job_owner_matches", role="supabase_admin")
    project.must_be_healthy()


def test_failed_run_of_another_roles_job_is_explained_by_the_owner(project: Project) -> None:
    project.admin.execute("update cron.job set username = 'authenticator'")
    project.record_run("failed", "ERROR:  permission denied for schema autosync")
    project.must_fail("job_owner_matches", names="belongs to the role authenticator")
    project.must_be_blocked("job_runs_succeed", "job_owner_matches")


def test_second_job_of_the_name_is_not_a_matter_of_the_owner(project: Project) -> None:
    project.admin.execute("select cron.schedule('auto-sync-cron-job', %s, 'select 1')", [NEVER])
    assert result_of(project.report(), "job_owner_matches").status is Status.OK


def test_jobs_of_superusers_that_pg_cron_skips_are_named(project: Project) -> None:
    project.admin.execute("alter system set cron.enable_superuser_jobs = off")
    project.restart_server()
    assert result_of(project.report(), "job_owner_matches").status is Status.OK
    # not before: pg_cron 1.6.5 crashes when it reads such a job, and takes the whole server with it
    project.admin.execute("alter role postgres superuser")
    found = result_of(project.report(), "job_owner_matches")
    assert found.status is Status.CRITICAL
    assert "pg_cron skips it" in found.verdict.summary
