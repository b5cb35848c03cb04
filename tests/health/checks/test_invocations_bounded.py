"""invocations_bounded: a ledger that is not pruned is named, once pruning has had the time to do it."""

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "invocations_bounded"


def _tick(project: Project, number: int, age: str) -> None:
    project.owner.execute(
        "insert into autosync.tick (id, job_name, ticked_at, caller, due, decision, server_epoch)"
        " overriding system value"
        " select %s - n, %s, now() - %s::interval, 'pg_cron', 0, 'idle', now() from generate_series(1, %s) as n",
        [900 if age == "0" else 0, project.job_name, age, number],
    )


def test_ledger_that_is_not_pruned_is_a_warning_until_it_is(project: Project) -> None:
    _tick(project, 40, "33 days")
    _tick(project, 12, "0")
    project.must_fail(ID, status=Status.WARNING, names="table autosync.tick: holds ticks since 20")

    assert project.value("select count(*) from autosync.tick") == 53
    project.run_remedy(ID)
    assert project.value("select count(*) from autosync.tick") == 13
    project.must_be_healthy()


def test_job_that_was_just_resumed_is_given_time(project: Project) -> None:
    _tick(project, 40, "90 days")
    _tick(project, 10, "0")
    project.must_be_healthy()


def test_two_days_more_than_retention_are_no_fault(project: Project) -> None:
    _tick(project, 40, "31 days")
    _tick(project, 12, "0")
    project.must_be_healthy()


def test_longer_retention_is_respected(project: Project) -> None:
    _tick(project, 40, "33 days")
    _tick(project, 12, "0")
    project.owner.execute("update autosync.job set keep_invocations = '1 year'")
    assert result_of(project.report([ID]), ID).status is Status.OK
