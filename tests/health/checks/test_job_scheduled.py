"""job_scheduled: a job that pg_cron does not know explains all that the job would show."""

from autosync_db.health.model import Status
from tests.support.health import Project, result_of


def test_missing_job_is_the_root_cause_until_migrate(project: Project) -> None:
    project.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    project.must_fail("job_scheduled", names="cron job auto-sync-cron-job: does not exist")
    for name in ("job_active", "job_command_matches", "job_runs_succeed"):
        project.must_be_blocked(name, "job_scheduled")

    project.run_remedy("job_scheduled")
    project.must_be_healthy()


def test_job_hidden_by_row_level_security_is_unknown_not_missing(project: Project) -> None:
    project.create_role("plain", grants="grant usage on schema cron to plain; grant select on cron.job to plain")
    found = result_of(project.report(["job_scheduled"], role="plain"), "job_scheduled")
    assert found.verdict.status is Status.UNKNOWN
    assert "is not visible to this role" in found.verdict.summary


def test_inactive_job_is_still_a_job(project: Project) -> None:
    project.run_command("job", "pause")
    assert result_of(project.report(), "job_scheduled").status is Status.OK
