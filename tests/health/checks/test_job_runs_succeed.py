"""job_runs_succeed: the newest run that says anything counts, and its message is the evidence."""

from autosync_db.jobs.calls import Cause
from tests.support.health import Project, result_of


def test_failed_runs_are_the_root_cause_until_a_tick_comes_through(project: Project) -> None:
    project.record_run("succeeded", "1 row")
    project.record_run("failed", "ERROR:  canceling statement due to statement timeout\nCONTEXT:  SQL function")
    project.record_run("failed", "ERROR:  canceling statement due to statement timeout\nCONTEXT:  SQL function")
    found = project.must_fail("job_runs_succeed", names="the last 2 of 3 runs failed since")
    assert found.verdict.evidence[0].detail.endswith(": canceling statement due to statement timeout")

    project.run_remedy("job_runs_succeed")
    project.must_be_healthy()


def test_failure_for_want_of_a_secret_is_explained_by_the_secret(project: Project) -> None:
    project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    project.record_run("failed", 'ERROR:  the secret "service_role_key" is missing from public.pg_cron_secrets')
    project.must_fail("secrets_present")
    project.must_be_blocked("job_runs_succeed", "secrets_present")


def test_tick_by_hand_does_not_prove_that_pg_cron_can_connect(project: Project) -> None:
    project.record_run("failed", "connection failed")
    assert project.call() is Cause.OK
    project.must_fail("job_can_connect", names="its newest run could not connect")
    project.must_be_blocked("job_runs_succeed", "job_can_connect")


def test_failed_connection_without_a_time_is_seen(project: Project) -> None:
    project.record_run("succeeded", "1 row")
    project.record_run("failed", "connection failed", ended=None)
    found = result_of(project.report(), "job_runs_succeed")
    assert found.blocked_by == ("job_can_connect",)
    assert "the last 1 of 2 runs failed: connection failed" in found.verdict.summary


def test_interrupted_and_overcome_failures_do_not_count(project: Project) -> None:
    project.record_run("failed", "ERROR:  deadlock detected")
    project.record_run("succeeded", "1 row")
    project.record_run("failed", "server restarted")
    project.record_run("failed", "job canceled")
    project.record_run("running", "")
    project.must_be_healthy()


def test_runs_of_other_jobs_do_not_count(project: Project) -> None:
    project.owner.execute("select cron.schedule('nightly', '0 0 1 1 *', 'select 1')")
    project.record_run("failed", "ERROR:  relation does not exist")
    project.admin.execute(
        "update cron.job_run_details set jobid = (select jobid from cron.job where jobname = 'nightly')"
    )
    project.must_be_healthy()
