"""pg_net_not_exposed: whoever could read the keys of queued requests is named, and the platform's own roles are not."""

import pytest

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support.health import Project, result_of

ID = "pg_net_not_exposed"


@pytest.mark.parametrize("schema", ["net", "cron"])
def test_schema_on_the_data_api_is_the_root_cause_until_it_is_taken_off(project: Project, schema: str) -> None:
    project.admin.execute(f"alter role authenticator set pgrst.db_schemas = 'public, {schema}'".encode())
    project.must_fail(ID, names=f"setting pgrst.db_schemas of authenticator: serves the schema {schema}")

    project.admin.execute("alter role authenticator reset pgrst.db_schemas")
    project.must_be_healthy()


def test_setting_of_the_database_counts_and_usual_schemas_do_not(project: Project) -> None:
    project.admin.execute("alter role authenticator set pgrst.db_schemas = 'public, graphql_public, network'")
    project.must_be_healthy()
    project.admin.execute("alter database postgres set pgrst.db_schemas = '\"net\"'")
    assert "of the database: serves the schema net" in result_of(project.report(), ID).verdict.summary


def test_role_that_may_log_in_is_a_warning_until_it_may_not(project: Project) -> None:
    project.create_role("reporting")
    project.must_fail(ID, status=Status.WARNING, names="role reporting: may log in and read net.http_request_queue")
    project.admin.execute("alter role reporting nologin")
    project.must_be_healthy()


def test_role_that_can_read_no_more_than_a_cron_secret_is_told_of_and_no_fault(project: Project) -> None:
    project.create_role("reporting")
    project.must_fail(ID, status=Status.WARNING, names='[function] auth = "cron_secret" would send one of little worth')
    project.store(cron_secret="c" * 43)
    project.owner.execute(
        "insert into autosync.setting (name, value)"
        " values ('function_auth', jsonb_build_object(%s::text, 'cron_secret'))",
        [project.job_name],
    )
    assert project.call() is Cause.OK
    report = project.must_be_healthy()
    assert "role reporting: may log in" in result_of(report, ID).verdict.summary


def test_roles_of_the_platform_are_no_fault(project: Project) -> None:
    for role in ("supabase_auth_admin", "supabase_storage_admin", "cli_login_postgres", "pgbouncer"):
        project.admin.execute(f"create role {role} login".encode())
    project.admin.execute("create role boss login superuser")
    project.must_be_healthy()


def test_missing_pg_net_explains_it(project: Project) -> None:
    project.admin.execute("drop extension pg_net")
    project.must_be_blocked(ID, "pg_net_installed")
