"""service_key_matches_project: what was copied from another project is named with both projects."""

import dataclasses

import pytest

from autosync_db.health.model import Status
from tests.support import keys
from tests.support.health import Project, result_of

ID = "service_key_matches_project"
REF = keys.PROJECT_REF
OTHER = REF[::-1]


def _url(ref: str) -> str:
    return f"https://{ref}.supabase.co"


def test_key_of_another_project_is_the_root_cause_until_it_is_replaced(project: Project) -> None:
    key = keys.legacy(ref=OTHER)
    project.store(project_url=_url(REF), service_role_key=key)
    found = result_of(project.report(), ID)
    assert found.status is Status.CRITICAL
    assert f"is a key of the project {OTHER}, but project_url names {REF}" in found.verdict.summary
    assert key.reveal() not in str(found)

    project.store(service_role_key=keys.legacy(ref=REF))
    assert result_of(project.report(), ID).status is Status.OK


def test_refused_key_of_another_project_is_explained(project: Project) -> None:
    project.stub.answer(401)
    project.call()
    project.store(project_url=_url(REF), service_role_key=keys.legacy(ref=OTHER))
    project.owner.execute("update public.pg_cron_secrets set updated_at = now() - interval '1 day'")
    project.must_be_blocked("function_accepts_key", ID)


def test_copy_of_another_projects_database_is_named(project: Project) -> None:
    project.store(project_url=_url(OTHER), service_role_key=keys.legacy(ref=OTHER))
    target = dataclasses.replace(project.configuration.target, project_url=_url(REF))
    project.configuration = dataclasses.replace(project.configuration, target=target)
    found = result_of(project.report(), ID)
    assert found.status is Status.CRITICAL
    assert f"names the project {OTHER}, but this database is that of {REF}" in found.verdict.summary

    project.store(project_url=_url(REF), service_role_key=keys.secret())
    assert result_of(project.report(), ID).status is Status.OK


@pytest.mark.parametrize("url", ["https://api.example.com", "http://127.0.0.1:54321", "https://[oops"])
def test_address_that_names_no_project_is_not_compared(project: Project, url: str) -> None:
    project.store(project_url=url, service_role_key=keys.legacy(ref=REF))
    assert result_of(project.report([ID]), ID).status is Status.OK


def test_missing_key_is_explained_by_secrets_present(project: Project) -> None:
    project.owner.execute("delete from public.pg_cron_secrets")
    project.must_fail("secrets_present")
    project.must_be_blocked(ID, "secrets_present")
