"""no_secret_in_job_command: a key in the text of any job is named by the job; neither key nor text is shown."""

import re

import pytest

from autosync_db.health.model import Status
from autosync_db.secret import Secret
from tests.support import keys
from tests.support.health import Project, result_of

ID = "no_secret_in_job_command"


def _schedule(project: Project, text: str) -> int:
    return int(project.value("select cron.schedule('mailer', '0 0 1 1 *', %s)", [text]))


@pytest.mark.parametrize(
    "key", [keys.legacy(), keys.secret(), Secret("sbp_" + "0a" * 20)], ids=["jwt", "secret", "token"]
)
def test_job_with_a_key_is_the_root_cause_until_it_is_unscheduled(project: Project, key: Secret) -> None:
    jobid = _schedule(project, f"select 'Bearer {key.reveal()}'")
    found = project.must_fail(ID, names=f"cron job mailer: the text of job {jobid} holds a key")
    assert key.reveal() not in str(found)
    assert "Bearer" not in str(found.verdict)

    named = re.findall(r"text of job (\d+)", found.verdict.summary)
    project.owner.execute("select cron.unschedule(%s::bigint)", named)
    project.must_be_healthy()


def test_history_that_kept_the_text_is_a_warning(project: Project) -> None:
    jobid = _schedule(project, f"select '{keys.secret().reveal()}'")
    project.admin.execute(
        "insert into cron.job_run_details (jobid, runid, database, username, command, status)"
        " select jobid, nextval('cron.runid_seq'), database, username, command, 'succeeded'"
        " from cron.job, generate_series(1, 3) as n where jobid = %s",
        [jobid],
    )
    found = result_of(project.report(), ID)
    assert found.status is Status.CRITICAL
    assert "3 of the newest 1000 runs" in found.verdict.summary
    project.owner.execute("select cron.unschedule(%s::bigint)", [jobid])
    project.must_fail(ID, status=Status.WARNING, names="3 of the newest 1000 runs")

    project.owner.execute("delete from cron.job_run_details where jobid = %s", [jobid])
    project.must_be_healthy()


def test_key_in_our_own_job_and_a_strange_text_are_both_named(project: Project) -> None:
    project.admin.execute(
        "update cron.job set command = %s where jobname = %s",
        [f"select '{keys.legacy().reveal()}'", project.job_name],
    )
    project.must_fail(ID, "job_command_matches")
    project.run_remedy("job_command_matches")
    project.must_be_healthy()


@pytest.mark.parametrize(
    "text",
    [
        f"select '{keys.legacy('anon').reveal()}'",
        "select autosync.read_secret('service_role_key')",
        "select 'sb_secret_', 'eyJ', 'sb_publishable_' || repeat('a', 16)",
    ],
)
def test_public_key_and_mere_names_are_no_secret(project: Project, text: str) -> None:
    _schedule(project, text)
    project.must_be_healthy()


def test_role_that_sees_its_own_jobs_alone_does_not_say_ok(project: Project) -> None:
    project.create_role(
        "plain",
        grants="grant usage on schema cron to plain; grant select on cron.job, cron.job_run_details to plain",
    )
    assert result_of(project.report([ID], role="plain"), ID).verdict.status is Status.UNKNOWN
