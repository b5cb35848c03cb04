"""secrets_present: a secret that is missing or blank is named; its value never is."""

import pytest

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support import keys
from tests.support.health import Project, result_of


@pytest.mark.parametrize("name", ["project_url", "service_role_key"])
def test_deleted_secret_is_the_root_cause_until_setup(project: Project, name: str) -> None:
    project.owner.execute("delete from public.pg_cron_secrets where name = %s", [name])
    project.must_fail("secrets_present", names=f"secret {name}: is missing from public.pg_cron_secrets")

    project.run_command(
        "setup",
        "--project-url",
        project.stub.url,
        "--service-role-key-file",
        "-",
        stdin=keys.legacy().reveal(),
    )
    project.must_be_healthy()


def test_blank_secret_is_named(project: Project) -> None:
    project.owner.execute("update public.pg_cron_secrets set secret = E' \\n' where name = 'project_url'")
    project.must_fail("secrets_present", names="secret project_url: is blank")


def test_name_that_dispatch_does_not_read_is_missing(project: Project) -> None:
    project.owner.execute("update public.pg_cron_secrets set name = 'SERVICE_ROLE_KEY' where name = 'service_role_key'")
    project.must_fail("secrets_present", names="secret service_role_key: is missing")


def test_secrets_hidden_by_row_level_security_are_unknown_not_missing(project: Project) -> None:
    project.create_role(
        "plain", grants="grant pg_read_all_data to plain; grant execute on all functions in schema autosync to plain"
    )
    found = result_of(project.report(["secrets_present"], role="plain"), "secrets_present")
    assert found.verdict.status is Status.UNKNOWN
    assert "hidden from this role" in found.verdict.summary


def test_line_break_after_a_key_and_other_secrets_do_not_matter(project: Project) -> None:
    project.owner.execute("update public.pg_cron_secrets set secret = secret || E'\\n'")
    project.owner.execute("insert into public.pg_cron_secrets (name, secret) values ('mine', '')")
    assert result_of(project.report(), "secrets_present").status is Status.OK


def test_what_is_needed_depends_on_how_the_function_knows_its_caller(project: Project) -> None:
    project.store(cron_secret="c" * 43)
    project.owner.execute(
        "insert into autosync.setting (name, value)"
        " values ('function_auth', jsonb_build_object(%s::text, 'cron_secret'))",
        [project.job_name],
    )
    project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    assert project.call() is Cause.OK
    project.must_be_healthy()

    project.owner.execute("delete from public.pg_cron_secrets where name = 'cron_secret'")
    project.must_fail("secrets_present", names="secret cron_secret: is missing")


def test_name_that_is_stored_twice_is_named(project: Project) -> None:
    project.owner.execute("alter table public.pg_cron_secrets drop constraint pg_cron_secrets_pkey")
    project.owner.execute(
        "insert into public.pg_cron_secrets (name, secret) select name, reverse(secret) from public.pg_cron_secrets"
        " where name = 'service_role_key'"
    )
    assert "secret service_role_key: has 2 rows" in result_of(project.report(), "secrets_present").verdict.summary
