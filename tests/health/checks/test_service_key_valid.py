"""service_key_valid: a key that cannot work by its form is named before any call is made."""

import pytest

from autosync_db.secret import Secret
from tests.support import keys
from tests.support.health import Project, result_of


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (keys.legacy("anon"), "is a JWT of the role anon"),
        (keys.legacy(expires_in=-86400), "expired on 20"),
        (Secret("sb_" + "publishable_abcdefgh"), "is a publishable key"),
        (Secret("hello"), "is neither a JWT nor an sb_secret_ key"),
        (Secret("a.b.c"), "is neither a JWT nor an sb_secret_ key"),
    ],
    ids=["anon", "expired", "publishable", "word", "dots"],
)
def test_wrong_key_is_the_root_cause_until_setup(project: Project, key: Secret, says: str) -> None:
    project.store(service_role_key=key)
    found = project.must_fail("service_key_valid", names=f"secret service_role_key: {says}")
    assert key.reveal() not in str(found)

    project.run_command("setup", "--service-role-key-file", "-", stdin=keys.legacy().reveal())
    project.must_be_healthy()


def test_missing_key_is_explained_by_secrets_present(project: Project) -> None:
    project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    project.must_fail("secrets_present")
    project.must_be_blocked("service_key_valid", "secrets_present")


def test_missing_address_does_not_explain_a_wrong_key(project: Project) -> None:
    project.owner.execute("delete from public.pg_cron_secrets where name = 'project_url'")
    project.store(service_role_key=keys.legacy("anon"))
    project.must_fail("service_key_valid", "secrets_present")


@pytest.mark.parametrize("key", [keys.legacy(), keys.secret()], ids=["legacy", "secret"])
def test_both_kinds_of_service_key_are_valid(project: Project, key: Secret) -> None:
    project.store(service_role_key=key)
    assert result_of(project.must_be_healthy(), "service_key_valid").verdict.evidence == ()
