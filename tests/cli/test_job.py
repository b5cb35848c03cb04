"""`status`, `runs` and `job ...` on a project that works."""

from typing import Any

from autosync_db.local.cluster import Cluster
from autosync_db.schema import revisions
from tests.cli.conftest import Project
from tests.support import cases, clusters, command


def _active(project: Project) -> bool:
    with clusters.connect(project.cluster) as connection:
        row = connection.execute("select active from cron.job where jobname = 'auto-sync-cron-job'").fetchone()
    assert row is not None
    return bool(row[0])


def _show(project: Project) -> Any:
    return command.succeeds(project.run("job", "show", "--format", "json")).json()


def test_status_and_runs_tell_what_really_happened(project: Project) -> None:
    command.succeeds(project.setup())
    project.stub.answer(500, {"message": "no"})
    assert project.run("job", "trigger").code == 3

    status = command.succeeds(project.run("status", "--format", "json")).json()
    assert (status["revision"], status["job"]["active"]) == (status["head"], True)
    assert (status["last_call"]["cause"], status["last_call"]["status_code"]) == ("function", 500)
    runs = command.succeeds(project.run("runs", "--format", "json")).json()
    assert [row["cause"] for row in runs] == ["function", "ok"], "newest first"
    assert len(command.succeeds(project.run("runs", "-n", "1", "--format", "json")).json()) == 1

    shown = command.succeeds(project.run("status")).out
    assert f"{revisions.head()} (head)" in shown
    assert "500" in shown
    table = command.succeeds(project.run("runs")).out.splitlines()
    assert "cause" in table[0]
    assert "function" in table[1]


def test_show_compares_registry_and_pg_cron(new_project: Project) -> None:
    command.succeeds(new_project.setup("--no-wait"))
    shown = _show(new_project)
    assert (shown["name"], shown["active"], shown["paused_at"]) == ("auto-sync-cron-job", True, None)
    assert shown["schedule"] == shown["cron_schedule"]
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("select cron.unschedule('auto-sync-cron-job')")
    assert _show(new_project)["cron_id"] is None
    assert "in pg_cron  no" in " ".join(
        command.succeeds(new_project.run("job", "show")).out.replace("\n", "  ").split(" ")
    )


def test_a_pause_lasts_until_it_is_resumed_and_both_can_be_repeated(new_project: Project) -> None:
    command.succeeds(new_project.setup())
    command.succeeds(new_project.run("job", "pause"))
    assert not _active(new_project)
    first = _show(new_project)
    command.succeeds(new_project.run("job", "pause"))
    assert _show(new_project)["paused_at"] == first["paused_at"] is not None
    assert first["paused_by"] == "postgres"
    assert "paused by postgres" in command.succeeds(new_project.run("status")).out
    command.succeeds(new_project.run("verify"))  # a recorded pause is not a fault
    command.succeeds(new_project.run("migrate", "--check"))

    # neither leaves it running, and a call can be made all the same
    command.succeeds(new_project.run("migrate"))
    command.succeeds(new_project.run("setup"))
    assert not _active(new_project)
    new_project.stub.delay_seconds = 1
    before = len(new_project.stub.requests)
    result = command.succeeds(new_project.run("job", "trigger", "--format", "json"))
    assert [row["cause"] for row in result.json()] == ["ok"], "it waits for the answer"
    assert len(new_project.stub.requests) == before + 1

    command.succeeds(new_project.run("job", "resume"))
    command.succeeds(new_project.run("job", "resume"))
    assert _active(new_project)
    assert _show(new_project)["paused_at"] is None


def test_trigger_exits_3_for_any_other_answer(project: Project) -> None:
    command.succeeds(project.setup("--no-wait"))
    with cases.collected() as case:
        for status in (401, 404, 500):
            with case(status):
                project.stub.answer(status)
                result = project.run("job", "trigger")
                assert result.code == 3
                assert str(status) in result.errors[0]
                assert "autosync-db verify" in result.hints[0]


def test_trigger_exits_3_when_the_function_is_too_slow(project: Project) -> None:
    command.succeeds(project.setup("--no-wait"))
    quick = {"AUTOSYNC_JOB__TIMEOUT": "1s"}
    command.succeeds(project.run("setup", "--no-wait", variables=quick))
    project.stub.delay_seconds = 3
    result = project.run("job", "trigger", variables=quick)
    assert result.code == 3
    assert "Timeout" in result.errors[0]


def test_trigger_without_waiting(project: Project) -> None:
    command.succeeds(project.setup("--no-wait"))
    command.succeeds(project.run("job", "trigger", "--no-wait"))
    clusters.wait_for(lambda: project.stub.requests, "the call")


def test_trigger_without_secrets_names_the_secret(shared: Cluster) -> None:
    result = command.run("job", "trigger", "-q", database=shared.url())
    assert "project_url" in command.refused(result, 3)
    assert "setup" in result.hints[0]


def test_a_database_that_was_never_set_up_is_refused(blank: Cluster) -> None:
    with cases.collected() as case:
        for typed in ("status", "runs", "job show", "job pause", "job resume", "job trigger"):
            with case(typed):
                result = command.run(*typed.split(), "-q", database=blank.url())
                command.refused(result, 5)
                assert "autosync-db setup" in result.hints[0]


def test_a_job_that_does_not_exist_is_refused(shared: Cluster) -> None:
    result = command.run("job", "show", database=shared.url(), variables={"AUTOSYNC_JOB__NAME": "other"})
    assert "'other'" in command.refused(result, 2)
