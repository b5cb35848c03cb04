"""project_url_resolves: a host name without an address is told apart from an address that does not answer."""

import pytest

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from autosync_db.local import cluster
from tests.support.health import Project, result_of


def _answer(project: Project, message: str) -> None:
    """Make the newest call end with one of libcurl's messages."""
    project.owner.execute(
        "update autosync.invocation set outcome = 'network_error', settled_at = now(), status_code = null,"
        " error_message = %s, body_excerpt = null where id = (select max(id) from autosync.invocation)",
        [message],
    )


def test_name_without_an_address_is_the_root_cause_until_it_is_corrected(project: Project) -> None:
    project.store(project_url="https://nosuchhost.invalid")
    assert project.call() is Cause.NETWORK
    project.must_fail("project_url_resolves", names="function auto-sync-cron: 1 of the last 2 calls got no HTTP answer")
    project.must_be_blocked("project_url_reachable", "project_url_resolves")
    project.must_be_blocked("function_deployed", "project_url_resolves")

    project.run_command("setup", "--project-url", project.stub.url)
    project.must_be_healthy()


@pytest.mark.parametrize(
    "message",
    [
        "Couldn't resolve host name",
        "Could not resolve hostname",
        "Could not resolve host: abcdefghijklmnopqrst.supabase.co",
    ],
)
def test_every_wording_of_libcurl_is_known(project: Project, message: str) -> None:
    _answer(project, message)
    project.must_fail("project_url_resolves", names=message)


def test_address_where_nobody_listens_is_not_a_matter_of_the_name(project: Project) -> None:
    project.store(project_url=f"http://127.0.0.1:{cluster.free_port()}")
    assert project.call() is Cause.NETWORK
    project.must_fail("project_url_reachable")
    found = result_of(project.report(), "project_url_resolves")
    assert found.status is Status.OK
    assert "the host name was resolved" in found.verdict.summary


def test_nothing_is_proven_before_the_first_call(project: Project) -> None:
    project.owner.execute("delete from autosync.tick")
    found = result_of(project.report(), "project_url_resolves")
    assert found.verdict.status is Status.UNKNOWN
