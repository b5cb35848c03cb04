"""schedules_not_failing: a schedule that fails again and again is named with its error."""

import json
import re

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support import keys
from tests.support.health import Project, result_of

ID = "schedules_not_failing"
LATER = "now() + interval '1 hour'"


def _add(project: Project, failures: int, error: str = "http 401", **columns: object) -> None:
    project.add_schedule(
        next_run_at=LATER,
        last_run_at="now() - interval '1 minute'",
        last_run_status="failed" if failures else "success",
        last_run_summary=json.dumps({"errors": failures, "error": error}),
        consecutive_failures=failures,
        **columns,
    )


def test_failing_schedule_is_a_warning_until_it_succeeds(project: Project) -> None:
    _add(project, 0)
    _add(project, 3)
    _add(project, 12, error=f"device service said {keys.secret().reveal()} is wrong")
    found = project.must_fail(ID, status=Status.WARNING, names="failed 12 times in a row, last at 20")
    assert "device service said *** is wrong; 2 of 3 enabled schedules" in found.verdict.summary

    named = re.findall(r"schedule ([0-9a-f-]{36})", found.verdict.summary)
    project.owner.execute("select public.auto_sync_complete(%s::uuid, 'success')", named)
    project.owner.execute("delete from public.auto_sync_schedules where consecutive_failures = 3")
    project.must_be_healthy()


def test_project_in_which_no_schedule_succeeds_is_critical(project: Project) -> None:
    _add(project, 3)
    _add(project, 5)
    project.add_schedule(next_run_at=LATER)
    project.must_fail(ID, names="2 of 3 enabled schedules failed 3 times or more")


def test_failing_function_explains_it(project: Project) -> None:
    _add(project, 4)
    project.stub.answer(500)
    assert project.call() is Cause.FUNCTION
    project.must_fail("function_succeeds")
    project.must_be_blocked(ID, "function_succeeds")


def test_two_failures_a_disabled_schedule_and_a_paused_job_are_no_fault(project: Project) -> None:
    _add(project, 2)
    _add(project, 9, enabled=False)
    project.must_be_healthy()
    _add(project, 9)
    assert result_of(project.report(), ID).status is Status.WARNING
    project.run_command("job", "pause")
    project.must_be_healthy()
