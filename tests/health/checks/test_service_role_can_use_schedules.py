"""service_role_can_use_schedules: what keeps the function from its schedules is named, and explains its failures."""

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support import health
from tests.support.health import Project, result_of

ID = "service_role_can_use_schedules"
TABLE = "table public.auto_sync_schedules"


def test_missing_grants_are_the_root_cause_until_migrate(project: Project) -> None:
    for fault, names in [
        (
            "revoke all on public.auto_sync_schedules from service_role",
            f"{TABLE}: service_role may not select, update it",
        ),
        ("revoke update on public.auto_sync_schedules from service_role", f"{TABLE}: service_role may not update it"),
    ]:
        project.owner.execute(fault.encode())
        project.must_fail(ID, names=names)
        project.run_remedy(ID)
        project.must_be_healthy()


def test_function_that_may_not_be_executed_is_named(project: Project) -> None:
    project.owner.execute("revoke execute on function public.auto_sync_claim(integer, interval) from service_role")
    report = project.report()
    assert health.roots(report) == {ID: Status.CRITICAL}
    assert "function public.auto_sync_claim: service_role may not execute it" in result_of(report, ID).verdict.summary

    project.run_remedy(ID)
    project.must_be_healthy()


def test_it_explains_the_failures_of_the_function(project: Project) -> None:
    project.owner.execute("revoke all on public.auto_sync_schedules from service_role")
    project.stub.answer(500)
    assert project.call() is Cause.FUNCTION
    project.must_fail(ID)
    project.must_be_blocked("function_succeeds", ID)


def test_role_without_bypass_sees_no_rows_unless_a_policy_lets_it(project: Project) -> None:
    project.admin.execute("alter role service_role nobypassrls")
    found = result_of(project.report([ID]), ID)
    assert found.status is Status.CRITICAL
    assert "row level security hides its rows from service_role" in found.verdict.summary
    project.owner.execute("create policy service on public.auto_sync_schedules to service_role using (true)")
    project.must_be_healthy()


def test_server_without_the_role_is_healthy(project: Project) -> None:
    project.admin.execute("drop owned by service_role; drop role service_role")
    assert result_of(project.report(), ID).status is Status.OK
