"""rotation_finished: what a killed rotation left unproven is told; one that somebody works on is a note."""

from autosync_db.credentials import lease
from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support import keys
from tests.support.health import Project, result_of

ID = "rotation_finished"
LAPSE = "update autosync.secret_rotation set lease_expires_at = clock_timestamp() - interval '1 second'"


def test_interrupted_rotation_is_a_warning_until_it_is_resumed(project: Project) -> None:
    newer = keys.secret()
    assert lease.begin(project.owner, {"service_role_key": newer})
    project.owner.execute(LAPSE)
    found = project.must_fail(ID, status=Status.WARNING, names="secret service_role_key: was replaced at ")
    assert "never proven; no call was answered since" in found.verdict.summary
    assert newer.reveal() not in str(found)
    assert project.call() is Cause.OK
    assert "the newest call since was answered 200" in result_of(project.report([ID]), ID).verdict.summary

    project.run_remedy(ID)
    project.must_be_healthy()


def test_unproven_key_that_is_refused_explains_the_refusals(project: Project) -> None:
    assert lease.begin(project.owner, {"service_role_key": keys.secret()})
    project.owner.execute(LAPSE)
    project.stub.answer(401, {}, "UNAUTHORIZED_INVALID_JWT_FORMAT")
    assert project.call() is Cause.KEY
    project.must_fail(ID, names="the newest call since was refused: 401 UNAUTHORIZED_INVALID_JWT_FORMAT")
    project.must_be_blocked("function_accepts_key", ID)

    project.run_command("rotate", "--abort")
    project.stub.answer(200)
    assert project.call() is Cause.OK
    project.must_be_healthy()


def test_rotation_under_way_is_a_note_and_no_fault(project: Project) -> None:
    begun = lease.begin(project.owner, {"service_role_key": keys.secret()})
    assert begun is not None
    report = project.must_be_healthy()
    assert [note.id for note in report.notes if note.id == ID] == [ID]
    assert "is being proven" in result_of(report, ID).verdict.summary
    lease.finish(project.owner, begun.token)
    assert ID not in {note.id for note in project.must_be_healthy().notes}


def test_moved_store_that_was_not_proven_is_named(project: Project) -> None:
    project.owner.execute(
        "insert into autosync.secret_rotation (name, token, kept, lease_expires_at)"
        " values ('setting:secrets', gen_random_uuid(), 'nowhere', now() - interval '1 minute')"
    )
    project.must_fail(ID, status=Status.WARNING, names="setting secrets: was replaced at ")


def test_role_that_cannot_see_says_so(project: Project) -> None:
    project.create_role("plain", grants="grant pg_read_all_data to plain")
    found = result_of(project.report([ID], role="plain"), ID)
    assert found.verdict.status is Status.UNKNOWN
