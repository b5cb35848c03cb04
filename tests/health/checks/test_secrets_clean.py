"""secrets_clean: a value with blanks or invisible characters is named; the value never is."""

import pytest

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support.health import Project, result_of

ID = "secrets_clean"


def _spoil(project: Project, name: str, spoiled: str) -> None:
    project.owner.execute(f"update public.pg_cron_secrets set secret = {spoiled} where name = %s".encode(), [name])


@pytest.mark.parametrize("spoiled", ["secret || E'\\n'", "' ' || secret", "secret || E'\\r\\n'"])
def test_blank_around_a_key_is_a_warning_until_it_is_taken_off(project: Project, spoiled: str) -> None:
    _spoil(project, "service_role_key", spoiled)
    project.must_fail(ID, status=Status.WARNING, names="secret service_role_key: has ")
    # dispatch() takes it off
    assert project.call() is Cause.OK

    project.run_remedy(ID)
    project.must_be_healthy()


@pytest.mark.parametrize(
    "spoiled",
    ["left(secret, 20) || E'\\n' || substr(secret, 21)", "secret || chr(160)", "chr(65279) || secret"],
    ids=["wrapped", "no-break space", "byte order mark"],
)
def test_character_inside_a_key_is_the_root_cause_until_it_is_removed(project: Project, spoiled: str) -> None:
    key = project.value("select secret from public.pg_cron_secrets where name = 'service_role_key'")
    _spoil(project, "service_role_key", spoiled)
    project.record_run("failed", 'ERROR:  the secret "service_role_key" contains blanks')
    found = project.must_fail(ID, names="secret service_role_key: contains 1 blanks, line breaks or other")
    project.must_be_blocked("job_runs_succeed", ID)
    assert key[:20] not in str(found)

    project.run_remedy(ID)
    assert project.call() is Cause.OK
    project.must_be_healthy()


def test_spoiled_address_explains_its_form(project: Project) -> None:
    _spoil(project, "project_url", "replace(secret, '://', '://' || chr(8203))")
    project.must_fail(ID, names="secret project_url: contains 1")
    project.must_be_blocked("project_url_valid", ID)


def test_other_and_missing_secrets_do_not_matter(project: Project) -> None:
    project.owner.execute("insert into public.pg_cron_secrets (name, secret) values ('pem', E'a b\\nc\\n')")
    project.must_be_healthy()
    project.owner.execute("update public.pg_cron_secrets set secret = ' ' where name = 'service_role_key'")
    assert result_of(project.report([ID]), ID).verdict.status is Status.OK
