"""function_accepts_key: a refused key is told from other faults, and a new key is not judged by old calls."""

import pytest

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support import keys
from tests.support.health import Project


@pytest.mark.parametrize(
    ("status", "error_code", "body"),
    [
        (401, "UNAUTHORIZED_LEGACY_JWT", {"message": "Invalid JWT"}),
        (401, "UNAUTHORIZED_NO_AUTH_HEADER", {"message": "Missing authorization header"}),
        (403, None, {"error": "not a service key"}),
    ],
)
def test_refused_key_is_the_root_cause_until_another_is_stored(
    project: Project, status: int, error_code: str | None, body: object
) -> None:
    project.stub.answer(status, body, error_code)
    assert project.call() is Cause.KEY
    assert project.call() is Cause.KEY
    found = project.must_fail(
        "function_accepts_key", names="function auto-sync-cron: 2 of the last 3 calls were refused"
    )
    assert (error_code or str(status)) in found.verdict.summary
    assert "the key was last changed" in found.verdict.summary
    project.must_be_blocked("function_succeeds", "function_accepts_key")

    project.stub.answer(200)
    project.run_command("setup", "--service-role-key-file", "-", stdin=keys.legacy().reveal())
    project.must_be_healthy()


def test_key_that_was_replaced_since_is_not_judged_by_the_last_call(project: Project) -> None:
    project.stub.answer(401, {}, "UNAUTHORIZED_LEGACY_JWT")
    assert project.call() is Cause.KEY
    project.store(service_role_key=keys.secret())
    project.must_fail("function_accepts_key", status=Status.UNKNOWN, names="no call was made with it since")

    project.stub.answer(200)
    project.run_command("job", "trigger")
    project.must_be_healthy()


def test_expired_key_explains_its_refusal(project: Project) -> None:
    project.stub.answer(401, {}, "UNAUTHORIZED_LEGACY_JWT")
    project.store(service_role_key=keys.legacy(expires_in=-60))
    assert project.call() is Cause.KEY
    project.must_fail("service_key_valid")
    project.must_be_blocked("function_accepts_key", "service_key_valid")


def test_function_that_fails_elsewhere_accepted_the_key(project: Project) -> None:
    project.stub.answer(500, {"error": "device-sync answered 401 unauthorized"})
    assert project.call() is Cause.FUNCTION
    project.must_fail("function_succeeds")
