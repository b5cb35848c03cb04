"""project_url_valid: an address that cannot work by its form is named by what is wrong with it, and is not shown."""

from autosync_db.health.model import Status
from tests.support import keys
from tests.support.health import Project, result_of

ID = "project_url_valid"
REF = keys.PROJECT_REF

WRONG = {
    f"{REF}.supabase.co": "has no scheme",
    f"ftp://{REF}.supabase.co": "has the scheme ftp, not https",
    f"postgresql://postgres:pw@db.{REF}.supabase.co:5432/postgres": "has the scheme postgresql, not https",
    f"https://db.{REF}.supabase.co": "is an address of the database",
    f"https://supabase.com/dashboard/project/{REF}": "is an address of the dashboard",
    f"https://{REF}.supabase.co/functions/v1": "ends in the path of the functions",
    f"https://{REF}.supabase.co/functions/v1/auto-sync-cron": "ends in the path of the functions",
    f"https://{REF}.supabase.co?x=1": "has a query or a fragment",
    "https://": "names no host",
    "https://<ref>.supabase.co": "names no host",
}
DOUBTFUL = {
    "http://api.example.com": "is not encrypted",
    "http://172.32.0.1": "is not encrypted",
    "https://me:word@api.example.com": "holds a login",
}
RIGHT = [
    f"https://{REF}.supabase.co", f"https://{REF}.supabase.co/", "https://api.example.com:8443",
    "https://example.com/gateway", "http://127.0.0.1:54321", "http://kong:8000", "http://[::1]:8000",
    "http://host.docker.internal:54321", "http://192.168.1.20", "http://172.16.0.1", "HTTPS://API.Example.com",
]  # fmt: skip


def test_wrong_address_is_the_root_cause_until_setup(project: Project) -> None:
    project.store(project_url="db.internal")
    project.record_run("failed", 'ERROR:  invalid URL "db.internal": Bad scheme')
    found = project.must_fail(ID, names="secret project_url: has no scheme")
    assert "db.internal" not in str(found)
    project.must_be_blocked("job_runs_succeed", ID)

    project.run_command("setup", "--project-url", project.stub.url)
    project.must_be_healthy()


def test_every_wrong_form_is_named(project: Project) -> None:
    for url, says in WRONG.items():
        project.store(project_url=url)
        found = result_of(project.report([ID]), ID)
        assert found.status is Status.CRITICAL, url
        assert says in " ".join(evidence.detail for evidence in found.verdict.evidence), url


def test_doubtful_forms_are_warnings_and_right_ones_are_ok(project: Project) -> None:
    for url, says in DOUBTFUL.items():
        project.store(project_url=url)
        found = result_of(project.report([ID]), ID)
        assert found.status is Status.WARNING, url
        assert says in found.verdict.summary
        assert "word" not in str(found)
    for url in RIGHT:
        project.store(project_url=url)
        found = result_of(project.report([ID]), ID)
        assert found.status is Status.OK, (url, found.verdict.summary)


def test_missing_address_is_explained_by_secrets_present(project: Project) -> None:
    project.owner.execute("delete from public.pg_cron_secrets where name = 'project_url'")
    project.must_fail("secrets_present")
    project.must_be_blocked(ID, "secrets_present")
