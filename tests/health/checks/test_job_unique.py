"""job_unique: whatever else makes the same calls is named by its job id."""

import re

import pytest

from autosync_db.health.model import Status
from tests.support.health import Project, result_of


@pytest.mark.parametrize(
    "command",
    [
        "select autosync.dispatch()",
        "SELECT  autosync.dispatch('auto-sync-cron-job');\n",
        "select net.http_post(url := 'https://abcdefghijklmnopqrst.supabase.co/functions/v1/auto-sync-cron')",
    ],
)
def test_unnamed_twin_is_the_root_cause_until_it_is_unscheduled(project: Project, command: str) -> None:
    twin = project.value("select cron.schedule('0 0 1 1 *', %s)", [command])
    found = project.must_fail("job_unique", names=f"job {twin} of role postgres makes the same calls")

    named = re.findall(r"job (\d+) of role", found.verdict.evidence[0].detail)
    project.owner.execute("select cron.unschedule(%s::bigint)", named)
    project.must_be_healthy()


def test_same_name_under_another_role_is_named_with_the_role(project: Project) -> None:
    project.admin.execute("select cron.schedule('auto-sync-cron-job', '0 0 1 1 *', 'select 1')")
    found = result_of(project.report(), "job_unique")
    assert found.status is Status.CRITICAL
    assert "of role supabase_admin" in found.verdict.summary


def test_twin_that_is_older_than_the_job_is_named_and_not_the_job(project: Project) -> None:
    project.owner.execute("select cron.unschedule('auto-sync-cron-job')")
    twin = project.value("select cron.schedule('0 0 1 1 *', 'select autosync.dispatch();')")
    project.owner.execute("select autosync.sync_job()")
    project.must_fail("job_unique", names=f"job {twin} of role postgres")


def test_jobs_that_make_other_calls_or_none_are_no_twins(project: Project) -> None:
    project.owner.execute("select cron.schedule('other', '0 0 1 1 *', $$select autosync.dispatch('other')$$)")
    project.owner.execute(
        "select cron.schedule('longer', '0 0 1 1 *', 'select 1 -- https://x/functions/v1/auto-sync-cron-v2')"
    )
    project.owner.execute("select cron.schedule('off', '0 0 1 1 *', 'select autosync.dispatch()')")
    project.owner.execute("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'off'")
    project.must_be_healthy()


def test_role_that_sees_its_own_jobs_alone_does_not_say_ok(project: Project) -> None:
    project.create_role(
        "plain",
        grants="grant usage on schema cron, autosync to plain;"
        " grant select on cron.job, autosync.job to plain;"
        " grant execute on function autosync.job_command(text) to plain",
    )
    found = result_of(project.report(["job_unique"], role="plain"), "job_unique")
    assert found.verdict.status is Status.UNKNOWN
