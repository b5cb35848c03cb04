"""function_succeeds: an error of the function counts whatever its status says."""

import pytest

from autosync_db.jobs.calls import Cause
from tests.support import keys
from tests.support.health import Project


@pytest.mark.parametrize(
    ("status", "body", "error_code"),
    [
        (500, {"error": "column nope does not exist"}, "WORKER_ERROR"),
        (503, {"error": "nope: function failed to start"}, "BOOT_ERROR"),
        (546, {"error": "nope: CPU time exceeded"}, "WORKER_LIMIT"),
        (200, {"ok": False, "error": "nope"}, None),
    ],
)
def test_failing_function_is_the_root_cause_until_it_succeeds(
    project: Project, status: int, body: object, error_code: str | None
) -> None:
    project.stub.answer(status, body, error_code)
    assert project.call() is Cause.FUNCTION
    project.must_fail("function_succeeds", names="1 of the last 2 calls failed in the function")
    project.must_fail("function_succeeds", names="nope")

    project.stub.answer(200)
    project.run_command("job", "trigger")
    project.must_be_healthy()


def test_key_in_the_functions_error_is_not_shown(project: Project) -> None:
    key = keys.legacy().reveal()
    project.stub.answer(500, {"error": f"refused {key}"})
    project.call()
    assert key not in str(project.must_fail("function_succeeds", names="refused ***"))


def test_success_that_mentions_failed_schedules_is_a_success(project: Project) -> None:
    project.stub.answer(200, {"ok": True, "failed": 1, "errors": [{"ok": False}]})
    assert project.call() is Cause.OK
    project.must_be_healthy()


def test_failure_that_was_overcome_does_not_count(project: Project) -> None:
    project.stub.answer(500)
    project.call()
    project.stub.answer(200)
    project.call()
    project.must_be_healthy()
