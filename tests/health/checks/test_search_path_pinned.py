"""search_path_pinned: a function that looks names up where its caller says is named."""

from autosync_db.health.model import Status
from tests.support import health
from tests.support.health import Project, result_of

ID = "search_path_pinned"


def test_unpinned_function_of_the_package_is_the_root_cause_until_migrate(project: Project) -> None:
    project.owner.execute("alter function autosync.dispatch(text, boolean) reset search_path")
    report = project.report()
    assert health.roots(report) == {ID: Status.CRITICAL}
    assert "function autosync.dispatch: works with its owner's rights" in result_of(report, ID).verdict.summary

    project.run_remedy(ID)
    project.must_be_healthy()


def test_function_with_the_callers_rights_is_a_warning(project: Project) -> None:
    project.owner.execute("alter function autosync.is_time_zone(text) reset all")
    found = result_of(project.report(), ID)
    assert found.status is Status.WARNING
    assert "autosync.is_time_zone: its caller decides" in found.verdict.summary


def test_function_of_the_project_that_reads_the_secrets_is_named(project: Project) -> None:
    project.owner.execute(
        "create function public.peek() returns text language sql security definer"
        " as 'select secret from public.pg_cron_secrets limit 1';"
        " revoke all on function public.peek() from public, anon, authenticated"
    )
    project.must_fail(ID, names="function public.peek: works with its owner's rights")
    project.owner.execute("alter function public.peek() set search_path = ''")
    found = result_of(project.report(), ID)
    assert found.status is Status.WARNING
    assert "temporary types are found first" in found.verdict.summary
    project.owner.execute("alter function public.peek() set search_path = pg_catalog, pg_temp")
    project.must_be_healthy()


def test_other_functions_are_nobodys_business(project: Project) -> None:
    project.owner.execute("create function public.mine() returns integer language sql security definer as 'select 1'")
    project.must_be_healthy()
