"""project_url_reachable: no HTTP answer at all is a fault of the address or the network."""

from autosync_db.jobs.calls import Cause
from autosync_db.local import cluster
from tests.support.health import Project, result_of


def test_address_where_nobody_listens_is_the_root_cause_until_it_is_corrected(project: Project) -> None:
    project.store(project_url=f"http://127.0.0.1:{cluster.free_port()}")
    assert project.call() is Cause.NETWORK
    found = project.must_fail("project_url_reachable", names="function auto-sync-cron: 1 of the last 2 calls")
    assert "connect" in found.verdict.summary
    for name in (
        "function_answers_in_time",
        "function_deployed",
        "function_accepts_key",
        "function_succeeds",
    ):
        project.must_be_blocked(name, "project_url_reachable")

    project.run_command("setup", "--project-url", project.stub.url)
    project.must_be_healthy()


def test_missing_key_does_not_explain_an_unreachable_address(project: Project) -> None:
    project.store(project_url=f"http://127.0.0.1:{cluster.free_port()}")
    assert project.call() is Cause.NETWORK
    project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    project.must_fail("project_url_reachable", "secrets_present")


def test_answer_of_a_content_network_is_none(project: Project) -> None:
    project.stub.answer(522, "<html>connection timed out</html>")
    assert project.call() is Cause.NETWORK
    project.must_fail("project_url_reachable", names="522 (the network before the server does not reach it)")


def test_redirect_is_told_with_where_it_leads(project: Project) -> None:
    project.stub.redirects = {"/functions/v1/auto-sync-cron": f"{project.stub.url}/elsewhere"}
    assert project.call() is Cause.NETWORK
    assert [request.method for request in project.stub.requests[-2:]] == ["POST", "GET"]
    project.must_fail("project_url_reachable", names=f"was redirected to {project.stub.url}/elsewhere")


def test_created_thing_that_is_told_is_no_redirect(project: Project) -> None:
    project.stub.answer(201)
    project.stub.headers = {"location": "/things/1"}
    assert project.call() is Cause.OK


def test_error_page_of_a_gateway_is_an_answer(project: Project) -> None:
    project.stub.answer(502, "<html>bad gateway</html>")
    assert project.call() is Cause.FUNCTION
    project.must_fail("function_succeeds")
    found = result_of(project.report(), "project_url_reachable")
    assert found.verdict.summary.startswith("function auto-sync-cron: answered 502")
