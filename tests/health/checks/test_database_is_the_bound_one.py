"""database_is_the_bound_one: a foreign address stops the calls and is the root cause, another server is told."""

from autosync_db.health.model import Status
from tests.support import keys
from tests.support.health import Project, result_of

ID = "database_is_the_bound_one"
OTHER = keys.PROJECT_REF[::-1]


def _bind(project: Project, **changes: object) -> None:
    project.owner.execute("delete from autosync.setting where name = 'binding'")
    project.owner.execute(
        "insert into autosync.setting (name, value)"
        " values ('binding', autosync.server_identity() || jsonb_build_object('project_ref', %s::text))",
        [keys.PROJECT_REF],
    )
    for name, value in changes.items():
        project.owner.execute(
            "update autosync.setting set value = value || jsonb_build_object(%s::text, to_jsonb(%s::text))"
            " where name = 'binding'",
            [name, value],
        )


def test_foreign_address_is_the_root_cause_until_it_is_bound_anew(project: Project) -> None:
    _bind(project)
    # an address that names no project is not compared
    project.must_be_healthy()

    url = project.stub.url
    project.store(project_url=f"https://{OTHER}.supabase.co")
    project.record_run("failed", "ERROR:  no call is made: secret project_url names the project")
    found = result_of(project.report(), ID)
    assert found.status is Status.CRITICAL
    assert f"names the project {OTHER}, but this database is bound to {keys.PROJECT_REF}" in found.verdict.summary
    project.must_be_blocked("job_runs_succeed", ID)

    remedy = ["setup", "--no-wait", "--rebind", "--project-ref", OTHER, "--service-role-key-file", "-"]
    project.run_command(*remedy, stdin=keys.legacy(ref=OTHER).reveal())
    assert result_of(project.report(), ID).status is Status.OK
    project.store(project_url=url)


def test_another_server_is_a_warning(project: Project) -> None:
    _bind(project, system_identifier="1")
    found = project.must_fail(ID, status=Status.WARNING, names=f"is not the one that was bound to {keys.PROJECT_REF}")
    assert "this database was restored or copied" in found.verdict.summary


def test_another_database_of_the_server_is_a_warning(project: Project) -> None:
    _bind(project, database="elsewhere")
    project.must_fail(ID, status=Status.WARNING, names="which was elsewhere on this server")


def test_what_was_never_bound_is_not_judged(project: Project) -> None:
    project.store(project_url=f"https://{OTHER}.supabase.co", service_role_key=keys.legacy(ref=OTHER))
    assert result_of(project.report(), ID).status is Status.OK
