"""outcomes_recorded: calls whose answers go before they are written down are counted, by a restart or without one."""

from autosync_db.health.model import Status
from tests.support import clusters
from tests.support.health import Project, result_of


def _lose_a_call(project: Project) -> None:
    """Make a call and delete its answer before anybody writes it down."""
    answers = int(project.value("select count(*) from net._http_response"))
    project.value("select autosync.dispatch(%s)", [project.job_name])
    clusters.wait_for(
        lambda: int(project.value("select count(*) from net._http_response")) > answers, "the call's answer"
    )
    project.admin.execute("delete from net._http_response")


def test_lost_calls_in_a_row_are_the_root_cause_until_one_is_recorded(project: Project) -> None:
    for _ in range(3):
        _lose_a_call(project)
    project.must_fail("outcomes_recorded", names="the outcome of the newest 3 calls since")

    project.run_remedy("outcomes_recorded")
    project.must_be_healthy()


def test_one_lost_call_is_a_warning(project: Project) -> None:
    _lose_a_call(project)
    project.must_fail("outcomes_recorded", status=Status.WARNING, names="became of the newest call since")


def test_call_under_way_during_a_restart_is_no_fault(project: Project) -> None:
    project.value("select autosync.dispatch(%s)", [project.job_name])
    project.restart_server()
    found = result_of(project.must_be_healthy(), "outcomes_recorded")
    assert "the server restarted" in found.verdict.summary


def test_call_without_an_answer_yet_is_not_lost(project: Project) -> None:
    project.stub.answer(delay_seconds=3)
    project.value("select autosync.dispatch(%s)", [project.job_name])
    project.must_be_healthy()
