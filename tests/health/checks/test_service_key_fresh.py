"""service_key_fresh: a legacy or old key of a hosted project is a warning, and never more."""

from autosync_db.health.model import Status
from tests.support import keys
from tests.support.health import Project, result_of

ID = "service_key_fresh"
URL = f"https://{keys.PROJECT_REF}.supabase.co"
YEARS = 10 * 365 * 86400


def test_legacy_key_is_a_warning_until_a_secret_key_takes_its_place(project: Project) -> None:
    project.store(service_role_key=keys.legacy(ref=keys.PROJECT_REF, expires_in=YEARS))
    found = project.must_fail(ID, status=Status.WARNING, names="secret service_role_key: is a legacy JWT key")
    assert len(found.verdict.evidence) == 1
    assert project.run_verify().code == 0

    project.run_command("setup", "--service-role-key-file", "-", stdin=keys.secret().reveal())
    project.must_be_healthy()


def test_key_that_is_sent_to_a_hosted_project_is_judged_by_its_address(project: Project) -> None:
    project.store(project_url=URL, service_role_key=keys.legacy(expires_in=YEARS))
    assert "is a legacy JWT key" in result_of(project.report([ID]), ID).verdict.summary


def test_old_key_and_one_that_ends_soon_are_warnings(project: Project) -> None:
    project.store(project_url=URL, service_role_key=keys.secret())
    assert result_of(project.report([ID]), ID).status is Status.OK
    project.owner.execute("update public.pg_cron_secrets set updated_at = now() - interval '366 days'")
    found = result_of(project.report([ID]), ID)
    assert found.status is Status.WARNING
    assert "for more than a year" in found.verdict.summary

    project.store(service_role_key=keys.legacy(ref=keys.PROJECT_REF, expires_in=86400))
    found = result_of(project.report([ID]), ID)
    assert any("expires on 20" in evidence.detail for evidence in found.verdict.evidence)
    assert found.status is Status.WARNING


def test_key_of_a_local_stack_follows_its_own_rules(project: Project) -> None:
    project.owner.execute("update public.pg_cron_secrets set updated_at = now() - interval '9 years'")
    project.must_be_healthy()


def test_missing_key_is_explained_by_secrets_present(project: Project) -> None:
    project.owner.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    project.must_fail("secrets_present")
    project.must_be_blocked(ID, "secrets_present")
