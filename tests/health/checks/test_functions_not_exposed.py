"""functions_not_exposed: a function with the owner's rights that strangers may call is named."""

import pytest

from autosync_db.health.model import Status
from tests.support import health
from tests.support.health import Project, result_of

ID = "functions_not_exposed"
WRAPPER = (
    "create function public.run_sync() returns bigint language sql security definer"
    " set search_path = pg_catalog, pg_temp as 'select autosync.dispatch()';"
    " revoke all on function public.run_sync() from public; "
)


@pytest.mark.parametrize("role", ["anon", "authenticated", "public"])
def test_open_claim_function_is_the_root_cause_until_migrate(project: Project, role: str) -> None:
    project.owner.execute(f"grant execute on function public.auto_sync_claim(integer, interval) to {role}".encode())
    report = project.report()
    assert health.roots(report) == {ID: Status.CRITICAL}
    assert "function public.auto_sync_claim: " in result_of(report, ID).verdict.summary
    assert "may execute it" in result_of(report, ID).verdict.summary

    project.run_remedy(ID)
    project.must_be_healthy()


def test_function_of_the_project_that_reaches_the_job_is_named(project: Project) -> None:
    project.owner.execute((WRAPPER + "grant execute on function public.run_sync() to anon").encode())
    project.must_fail(ID, names="function public.run_sync: anon may execute it, and it works with the owner's rights")
    project.owner.execute("revoke execute on function public.run_sync() from anon")
    project.must_be_healthy()
    project.owner.execute("grant execute on function public.run_sync() to authenticated")
    project.must_fail(ID, status=Status.WARNING, names="authenticated may execute it")


def test_function_in_the_private_schema_counts_once_the_schema_is_open(project: Project) -> None:
    project.owner.execute("grant execute on function autosync.read_secret(text) to authenticated")
    assert result_of(project.report([ID]), ID).status is Status.OK
    project.owner.execute("grant usage on schema autosync to authenticated")
    found = result_of(project.report([ID]), ID)
    assert found.status is Status.CRITICAL
    assert "function autosync.read_secret" in found.verdict.summary


def test_functions_that_reach_nothing_or_nobody_may_call_are_no_fault(project: Project) -> None:
    project.owner.execute(
        (
            WRAPPER + "create function public.hello() returns text language sql security definer"
            " set search_path = pg_catalog, pg_temp as $$ select 'hello' $$;"
            "create function public.asks() returns bigint language sql set search_path = ''"
            " as 'select autosync.dispatch()';"
            "grant execute on function public.hello(), public.asks() to anon"
        ).encode()
    )
    project.must_be_healthy()
