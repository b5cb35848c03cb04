"""function_deployed: an unknown function is told from one that answers 404 itself, on every gateway."""

import pytest

from autosync_db.jobs.calls import Cause
from tests.support.health import Project


@pytest.mark.parametrize(
    ("status", "body", "error_code"),
    [
        (404, {"code": "NOT_FOUND", "message": "Requested function was not found"}, "NOT_FOUND"),
        (404, "", "NOT_FOUND_FUNCTION_BLOB"),
        (404, "Function not found", None),
        (
            500,
            {"msg": "InvalidWorkerCreation: worker boot error: could not find an appropriate entrypoint"},
            None,
        ),
    ],
    ids=["hosted", "blob", "cli", "self-hosted"],
)
def test_unknown_function_is_the_root_cause_until_it_is_deployed(
    project: Project, status: int, body: object, error_code: str | None
) -> None:
    project.stub.answer(status, body, error_code)
    assert project.call() is Cause.MISSING
    project.must_fail(
        "function_deployed", names="function auto-sync-cron: 1 of the last 2 calls found no such function"
    )
    project.must_be_blocked("function_accepts_key", "function_deployed")
    project.must_be_blocked("function_succeeds", "function_deployed")

    project.stub.answer(200)
    project.run_command("job", "trigger")
    project.must_be_healthy()


def test_function_that_does_not_find_something_is_deployed(project: Project) -> None:
    project.stub.answer(404, {"ok": False, "error": "device not found"})
    assert project.call() is Cause.FUNCTION
    project.must_fail("function_succeeds")
