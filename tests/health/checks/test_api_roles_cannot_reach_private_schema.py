"""api_roles_cannot_reach_private_schema: a door into the schema autosync is named by who may pass it."""

import pytest

from autosync_db.health.model import Status
from tests.support.health import Project

ID = "api_roles_cannot_reach_private_schema"


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("grant usage on schema autosync to authenticated", "schema autosync: authenticated may use it"),
        ("grant create on schema autosync to public", "schema autosync: everybody may create objects in it"),
        ("grant all on schema autosync to service_role", "schema autosync: service_role may create objects in, use it"),
    ],
)
def test_open_schema_is_the_root_cause_until_migrate(project: Project, fault: str, names: str) -> None:
    project.owner.execute(fault.encode())
    project.must_fail(ID, names=names)

    project.run_remedy(ID)
    project.must_be_healthy()


def test_schema_on_the_data_api_is_named(project: Project) -> None:
    project.admin.execute("alter role authenticator set pgrst.db_schemas = 'public,autosync'")
    project.must_fail(ID, names="setting pgrst.db_schemas of authenticator: serves the schema autosync")
    project.admin.execute("alter role authenticator set pgrst.db_schemas = 'public'")
    project.must_be_healthy()


def test_grant_on_a_table_behind_the_shut_door_is_a_warning(project: Project) -> None:
    project.owner.execute("grant select on autosync.invocation to anon")
    project.must_fail(ID, status=Status.WARNING, names="table autosync.invocation: anon may select it")
    project.owner.execute("revoke all on autosync.invocation from anon")
    project.must_be_healthy()


def test_role_of_the_project_is_no_fault(project: Project) -> None:
    project.admin.execute(
        "create role reporting nologin; grant usage on schema autosync to reporting;"
        " grant select on autosync.job, autosync.tick, autosync.invocation to reporting"
    )
    project.must_be_healthy()
