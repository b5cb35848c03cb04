"""job_command_matches: another command is a fault, and its text, which may hold a key, is not shown."""

from tests.support import keys
from tests.support.health import Project


def test_other_command_is_the_root_cause_until_migrate(project: Project) -> None:
    key = keys.legacy().reveal()
    project.owner.execute(
        "select cron.alter_job(jobid, command := %s) from cron.job",
        [f"select net.http_post(url := 'https://example.com', headers := '{{\"apikey\": \"{key}\"}}')"],
    )
    # the key in it is a fault of its own, with the same remedy
    found = project.must_fail(
        "job_command_matches",
        "no_secret_in_job_command",
        names='runs something else than "select autosync.dispatch()"',
    )
    assert key not in str(found)

    project.run_remedy("job_command_matches")
    project.must_be_healthy()


def test_failing_runs_of_another_command_are_explained_by_it(project: Project) -> None:
    project.owner.execute("select cron.alter_job(jobid, command := 'select 1/0') from cron.job")
    project.record_run("failed", "ERROR:  division by zero")
    project.must_fail("job_command_matches")
    project.must_be_blocked("job_runs_succeed", "job_command_matches")


def test_other_jobs_may_run_what_they_like(project: Project) -> None:
    project.owner.execute("select cron.schedule('nightly', '0 0 1 1 *', 'select 1')")
    project.must_be_healthy()
