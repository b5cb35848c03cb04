"""pg_net_usable_by_job: every privilege that the calls lack is named with the object it is on."""

import pytest

from autosync_db.health.model import Status
from tests.support.health import Project, result_of


def test_missing_privilege_is_the_root_cause_until_pg_net_is_created_anew(project: Project) -> None:
    project.admin.execute("revoke insert on net.http_request_queue from public, postgres")
    with pytest.raises(Exception, match="permission denied for table http_request_queue"):
        project.owner.execute("select autosync.dispatch()")
    project.record_run("failed", "ERROR:  permission denied for table http_request_queue")
    project.must_fail(
        "pg_net_usable_by_job",
        names="table net.http_request_queue: the role postgres, as which the job makes its calls, may not insert it",
    )
    project.must_be_blocked("job_runs_succeed", "pg_net_usable_by_job")

    project.run_remedy("pg_net_usable_by_job")
    project.run_command("migrate")
    project.record_run("succeeded", "1 row")
    assert result_of(project.report(), "pg_net_usable_by_job").status is Status.OK


@pytest.mark.parametrize(
    ("revoked", "told"),
    [
        ("usage on schema net", "schema net"),
        ("execute on all functions in schema net", "function net.http_post()"),
        ("usage on sequence net.http_request_queue_id_seq", "sequence net.http_request_queue_id_seq"),
        ("select on net._http_response", "table net._http_response"),
    ],
)
def test_each_object_is_named(project: Project, revoked: str, told: str) -> None:
    # the hosted role may read everything, whatever is revoked, and belongs to the roles of the API
    project.admin.execute("revoke pg_read_all_data from postgres")
    project.admin.execute(f"revoke {revoked} from public, postgres, anon, authenticated, service_role".encode())
    found = result_of(project.report(), "pg_net_usable_by_job")
    assert found.verdict.status is Status.CRITICAL
    assert told in {evidence.object for evidence in found.verdict.evidence}


def test_function_with_its_owners_rights_needs_no_privilege_of_the_caller(project: Project) -> None:
    project.admin.execute(
        "do $$ begin execute format('alter function %s security definer', 'net.http_post'::regproc::regprocedure);"
        " end $$"
    )
    project.admin.execute("revoke insert on net.http_request_queue from public, postgres")
    assert result_of(project.report(), "pg_net_usable_by_job").status is Status.OK


def test_privileges_of_other_roles_do_not_count(project: Project) -> None:
    project.admin.execute("grant all on net.http_request_queue to postgres")
    project.admin.execute("revoke all on net.http_request_queue from public")
    assert result_of(project.report(), "pg_net_usable_by_job").status is Status.OK
