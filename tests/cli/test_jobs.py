"""`status`, `runs`, `plan` and `jobs ...` on a project that works."""

import json
from pathlib import Path
from typing import Any

import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.schema import revisions
from tests.cli.conftest import Project
from tests.support import cases, clusters, command, keys
from tests.support.dumps import contents


def _active(project: Project) -> bool:
    with clusters.connect(project.cluster) as connection:
        row = connection.execute("select active from cron.job where jobname = 'auto-sync-cron-job'").fetchone()
    assert row is not None
    return bool(row[0])


def _show(project: Project) -> Any:
    return command.succeeds(project.run("jobs", "show", "--format", "json")).json()


def test_status_and_runs_tell_what_really_happened(project: Project) -> None:
    command.succeeds(project.setup())
    project.stub.answer(500, {"message": "no"})
    assert project.run("jobs", "trigger").code == 3

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


def test_status_is_shown_whatever_moment_a_schedule_waits_for(project: Project) -> None:
    command.succeeds(project.setup())
    with clusters.connection(project.cluster, "supabase_admin") as connection:
        connection.execute("set session_replication_role = replica")
        for moment in ("infinity", "-infinity"):
            connection.execute(
                "insert into public.auto_sync_schedules (integration_id, enabled, next_run_at)"
                " values (gen_random_uuid(), true, %s)",
                [moment],
            )
        try:
            found = command.succeeds(project.run("status", "--format", "json")).json()
        finally:
            connection.execute("delete from public.auto_sync_schedules")
    assert (found["schedules_enabled"], found["next_schedule_at"]) == (2, None)


def test_show_compares_registry_and_pg_cron(new_project: Project) -> None:
    command.succeeds(new_project.setup("--no-wait"))
    shown = _show(new_project)
    assert (shown["name"], shown["active"], shown["paused_at"]) == ("auto-sync-cron-job", True, None)
    assert shown["schedule"] == shown["cron_schedule"]
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("select cron.unschedule('auto-sync-cron-job')")
    assert _show(new_project)["cron_id"] is None
    assert "in pg_cron  no" in " ".join(
        command.succeeds(new_project.run("jobs", "show")).out.replace("\n", "  ").split(" ")
    )


def test_a_pause_lasts_until_it_is_resumed_and_both_can_be_repeated(new_project: Project) -> None:
    command.succeeds(new_project.setup())
    command.succeeds(new_project.run("jobs", "pause"))
    assert not _active(new_project)
    first = _show(new_project)
    command.succeeds(new_project.run("jobs", "pause"))
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
    result = command.succeeds(new_project.run("jobs", "trigger", "--format", "json"))
    assert [row["cause"] for row in result.json()] == ["ok"], "it waits for the answer"
    assert len(new_project.stub.requests) == before + 1

    command.succeeds(new_project.run("jobs", "resume"))
    command.succeeds(new_project.run("jobs", "resume"))
    assert _active(new_project)
    assert _show(new_project)["paused_at"] is None


def test_trigger_exits_3_for_any_other_answer(project: Project) -> None:
    command.succeeds(project.setup("--no-wait"))
    with cases.collected() as case:
        key = keys.secret().reveal()
        for status, body, words in (
            (401, {"message": f"{key} is off"}, '401 ({"message": "*** is off"})'),
            (404, "no such page", "404 (the function: no such page)"),
            (500, "", "500 (the function)"),
            (200, {"ok": False, "error": "nope"}, '200: nope (the function: {"ok": false, "error": "nope"})'),
            (
                200,
                "<!doctype html><p>App",
                "200: a web page answered (web page: <!doctype html><p>App)",
            ),
        ):
            with case(words):
                project.stub.answer(status, body)
                result = project.run("jobs", "trigger")
                assert result.code == 3
                assert result.errors == [f"the call did not succeed: {words}"]
                assert "autosync-db verify" in result.hints[0]
                assert words in " ".join(project.run("runs", "-n", "1").out.split())
                assert key not in result.out + result.err


@pytest.mark.long
def test_trigger_exits_3_when_the_function_is_too_slow(project: Project) -> None:
    command.succeeds(project.setup("--no-wait"))
    quick = {"AUTOSYNC_JOB__TIMEOUT": "1s"}
    command.succeeds(project.run("setup", "--no-wait", variables=quick))
    project.stub.delay_seconds = 3
    result = project.run("jobs", "trigger", variables=quick)
    assert result.code == 3
    assert "Timeout" in result.errors[0]


def test_trigger_without_waiting(project: Project) -> None:
    command.succeeds(project.setup("--no-wait"))
    command.succeeds(project.run("jobs", "trigger", "--no-wait"))
    clusters.wait_for(lambda: project.stub.requests, "the call")


def test_trigger_without_secrets_names_the_secret(shared: Cluster) -> None:
    result = command.run("jobs", "trigger", "-q", database=shared.url())
    assert "project_url" in command.refused(result, 3)
    assert "setup" in result.hints[0]


def test_a_database_that_was_never_set_up_is_refused(blank: Cluster) -> None:
    with cases.collected() as case:
        for typed in ("status", "runs", "jobs show", "jobs pause", "jobs resume", "jobs trigger"):
            with case(typed):
                result = command.run(*typed.split(), "-q", database=blank.url())
                command.refused(result, 5)
                assert "autosync-db setup" in result.hints[0]


def test_a_job_that_does_not_exist_is_refused(shared: Cluster) -> None:
    result = command.run("jobs", "show", database=shared.url(), variables={"AUTOSYNC_JOB__NAME": "other"})
    assert "'other'" in command.refused(result, 2)


JOBS = """
[jobs.auto-sync-cron-job]
function = "auto-sync-cron"
schedule = "59 23 31 12 *"
drains = "auto_sync_schedules"

[jobs.report]
function = "report"
schedule = "58 23 31 12 *"
body = { full = true }
auth = { secret = "partner_token", header = "x-cron-token" }

[jobs.cleanup]
sql = "create table if not exists public.cleaned (); select 1"
schedule = "57 23 31 12 *"
"""


@pytest.fixture
def several(new_project: Project) -> Project:
    """A project whose file names three jobs, set up."""
    Path("autosync.toml").write_text(JOBS)
    new_project.variables = {}
    done = new_project.setup("--format", "json")
    assert [step["result"] for step in done.json()["steps"] if step["name"] == "next"] == [
        "report sends a secret that is not stored yet: autosync-db secrets set partner_token"
    ]
    assert done.code == 3
    command.succeeds(new_project.run("secrets", "set", "partner_token", "--from-file", "-", stdin="t0ken-value\n"))
    return new_project


def test_several_jobs_are_set_up_shown_and_triggered(several: Project) -> None:
    assert "nothing to do" in command.succeeds(several.run("plan", "--check")).err
    listed = command.succeeds(several.run("jobs", "list", "--format", "json")).json()
    assert [(one["job"]["name"], one["job"]["kind"]) for one in listed] == [
        ("auto-sync-cron-job", "function"),
        ("autosync-keep-house", "sql"),
        ("report", "function"),
        ("cleanup", "sql"),
    ]
    assert command.succeeds(several.run("jobs", "show", "--format", "json")).json()["name"] == "auto-sync-cron-job"

    [answer] = command.succeeds(several.run("jobs", "trigger", "report", "--format", "json")).json()
    assert (answer["job"], answer["cause"]) == ("report", "ok")
    request = several.stub.requests[-1]
    assert (request.path, request.headers["x-cron-token"]) == ("/functions/v1/report", "t0ken-value")
    assert json.loads(request.body) == {"full": True}

    ran = command.succeeds(several.run("jobs", "trigger", "cleanup", "--format", "json")).json()
    assert (ran["succeeded"], ran["result"]) == (True, "SELECT 1")
    with clusters.connect(several.cluster) as connection:
        assert connection.execute("select to_regclass('public.cleaned') is not null").fetchone() == (True,)

    runs = command.succeeds(several.run("runs", "--format", "json")).json()
    assert [row["job"] for row in runs] == ["report", "auto-sync-cron-job"]
    assert "report" in command.succeeds(several.run("runs")).out
    only = command.succeeds(several.run("runs", "--job", "report", "--format", "json")).json()
    assert [row["job"] for row in only] == ["report"]
    status = command.succeeds(several.run("status", "--format", "json")).json()
    assert [one["job"]["name"] for one in status["jobs"]] == ["auto-sync-cron-job", "report", "cleanup"]
    assert status["job"]["name"] == "auto-sync-cron-job"
    shown = command.succeeds(several.run("status", "--job", "report", "--job", "cleanup")).out
    assert "auto-sync-cron-job" not in shown
    ticks = command.succeeds(several.run("jobs", "preview", "cleanup", "-n", "3", "--format", "json")).json()["ticks"]
    assert [tick[4:16] for tick in ticks] == ["-12-31T23:57"] * 3


def test_a_plain_sql_job_is_triggered_as_pg_cron_runs_it(new_project: Project) -> None:
    """In no transaction but its own, and with the role's search_path."""
    Path("autosync.toml").write_text(
        "[jobs.tidy]\nsql = 'vacuum auto_sync_schedules'\nschedule = '0 0 1 1 *'\n"
        "[jobs.own]\nsql = 'select tidy_up(); select tidy_up()'\nschedule = '0 0 1 1 *'\n"
    )
    new_project.variables = {}
    command.succeeds(new_project.setup("--no-wait"))
    with clusters.connect(new_project.cluster) as owner:
        owner.execute("create function public.tidy_up() returns text language sql as $$ select 'done' $$")
    for name, result in (("tidy", "VACUUM"), ("own", "SELECT 1")):
        ran = command.succeeds(new_project.run("jobs", "trigger", name, "--format", "json")).json()
        assert (ran["succeeded"], ran["result"]) == (True, result)


def test_a_job_is_changed_by_commands_and_the_file_is_spoken_of(several: Project) -> None:
    said = command.succeeds(several.run("jobs", "reschedule", "1 * * * *", "cleanup")).err
    assert "autosync.toml says 57 23 31 12 *" in said
    assert "not understood" in command.refused(several.run("jobs", "reschedule", "0 0 31 2 *", "-q"), 2)
    table = several.run("plan", "--check")
    assert table.code == 5
    assert ["cleanup", "change", "schedule", "1", "*", "*", "*", "*", "57", "23", "31", "12", "*"] in [
        line.split() for line in table.out.splitlines()
    ]
    command.succeeds(several.run("setup"))
    command.succeeds(several.run("plan", "--check"))

    command.succeeds(several.run("jobs", "pause", "cleanup"))
    assert "disabled" not in command.succeeds(several.run("jobs", "list")).out
    command.succeeds(several.run("plan", "--check"))  # a pause by command is none of the file's
    command.succeeds(several.run("jobs", "resume", "cleanup"))

    Path("autosync.toml").write_text(JOBS.replace("[jobs.cleanup]\n", "[jobs.cleanup]\nenabled = false\n"))
    assert [one["action"] for one in several.run("plan", "--format", "json").json()["differences"]] == ["pause"]
    command.succeeds(several.run("setup"))
    assert "enabled = false" in command.succeeds(several.run("jobs", "resume", "cleanup")).err

    Path("autosync.toml").write_text(JOBS.partition("[jobs.cleanup]")[0])
    assert several.run("plan", "--check").code == 5
    assert "cleanup is not in the settings; kept" in command.succeeds(several.run("setup")).err
    assert "--yes" in several.run("plan", "--prune", "-q").hints[0]
    command.succeeds(several.run("plan", "--prune", "--yes", "--check"))
    assert "cleanup" not in command.succeeds(several.run("jobs", "list")).out
    assert "--yes" in several.run("jobs", "remove", "report", "-q").hints[0]
    removed = command.succeeds(several.run("jobs", "remove", "report", "--yes", "--format", "json"))
    assert removed.json() == {"name": "report", "outcome": "removed"}
    said = removed.err
    assert "autosync.toml still has it" in said
    with clusters.connect(several.cluster) as connection:
        assert connection.execute("select jobname from cron.job order by 1").fetchall() == [
            ("auto-sync-cron-job",),
            ("autosync-keep-house",),
        ]


@pytest.mark.long
def test_without_a_file_the_registered_jobs_are_spoken_of(several: Project) -> None:
    Path("autosync.toml").unlink()
    command.succeeds(several.run("jobs", "remove", "auto-sync-cron-job", "--yes"))
    assert "cleanup, report" in several.run("jobs", "show", "-q").hints[0].replace("report, cleanup", "cleanup, report")
    status = command.succeeds(several.run("status", "--format", "json")).json()
    assert [one["job"]["name"] for one in status["jobs"]] == ["report", "cleanup"]
    command.succeeds(several.run("plan", "--check"))
    command.succeeds(several.run("setup", "--no-wait"))
    with clusters.connect(several.cluster) as connection:
        assert connection.execute("select name from autosync.job order by 1").fetchall() == [
            ("autosync-keep-house",), ("cleanup",), ("report",)
        ]  # fmt: skip
    command.succeeds(several.run("jobs", "remove", "report", "--yes"))
    assert command.succeeds(several.run("jobs", "show", "--format", "json")).json()["name"] == "cleanup"


@pytest.mark.long
def test_a_statement_that_fails_and_a_watched_job_exit_with_the_reason(several: Project) -> None:
    Path("autosync.toml").write_text(
        "[jobs.bad]\nsql = 'select 1/0'\nschedule = '0 0 1 1 *'\n[jobs.theirs]\nwatch = true\n"
    )
    command.succeeds(several.run("setup", "--no-wait"))
    failed = several.run("jobs", "trigger", "bad")
    assert failed.code == 3
    assert "division by zero" in failed.errors[0]
    changes: tuple[tuple[str, ...], ...] = (("trigger",), ("pause",), ("reschedule", "* * * * *"))
    for words in changes:
        message = command.refused(several.run("jobs", *words, "theirs", "-q"), 2)
        assert "only watched" in message
    assert "did you mean theirs?" in command.refused(several.run("jobs", "show", "thiers", "-q"), 2)
    for words in (("reschedule", "* * * * *", "autosync-keep-house"), ("remove", "autosync-keep-house", "--yes")):
        assert "ousekeeping" in command.refused(several.run("jobs", *words, "-q"), 2)


def test_setup_refuses_a_name_that_is_taken_before_anything_changes(new_project: Project) -> None:
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("create extension pg_cron; select cron.schedule('cleanup', '0 3 * * 0', 'delete from t')")
    before = contents(new_project.cluster)
    Path("autosync.toml").write_text("[job]\nname = 'cleanup'\n")
    assert "'cleanup' already" in command.refused(new_project.setup("-q"), 5)
    # and plan says so before, with or without --check; what differs alone is no error
    for words in ((), ("--check",), ("--format", "json")):
        planned = new_project.run("plan", "-q", *words)
        assert (planned.code, "'cleanup' already" in planned.errors[0]) == (5, True), planned
    assert [one["hint"].split(";")[0] for one in planned.json()["refused"]] == [
        "take it over with: autosync-db jobs adopt cleanup"
    ]
    assert planned.json()["differences"][0]["action"] == "taken"
    Path("autosync.toml").write_text("[job]\nname = 'other'\n")
    command.succeeds(new_project.run("plan", "-q"))
    assert contents(new_project.cluster) == before


def test_a_plain_job_of_the_same_name_and_text_is_taken_over_by_consent_and_can_be_given_back(
    new_project: Project,
) -> None:
    """Registered without a record of it, `plan --prune`, `jobs remove` and `teardown` would drop what was there."""
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("create extension pg_cron; select cron.schedule('bill', '0 6 * * *', 'select app.bill()')")
        connection.execute("select cron.schedule('asleep', '0 6 * * *', 'select app.sleep()')")
        connection.execute("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'asleep'")
    there = "select jobname, schedule, command, active from cron.job where command like '%app.%' order by 1"

    def cron() -> list[tuple[object, ...]]:
        with clusters.connect(new_project.cluster) as connection:
            return connection.execute(there.encode()).fetchall()

    before = cron()
    Path("autosync.toml").write_text("")
    command.succeeds(new_project.run("jobs", "import", "--write"))
    command.succeeds(new_project.run("migrate"))
    refused = new_project.run("setup", "-q")
    assert "there is a cron job 'bill' already" in command.refused(refused, 5)
    differs = new_project.run("plan", "--format", "json").json()["differences"]
    assert {one["job"] for one in differs if one["action"] == "taken"} == {"asleep", "bill"}
    # nor does a repair switch on or register what somebody else made
    done = new_project.run("repair", "job_active", "--yes")
    assert (done.code, "jobs adopt asleep" in done.out + done.err, cron()) == (3, True, before), done.out + done.err
    for name in ("asleep", "bill"):
        command.succeeds(new_project.run("jobs", "adopt", name, "--yes"))
    assert "taken" not in command.succeeds(new_project.run("plan")).out
    for words in (("jobs", "remove", "asleep", "--yes"), ("teardown", "--yes")):
        command.succeeds(new_project.run(*words))
        assert cron() == before
    # but what our own schema files make before it is registered is ours
    command.succeeds(new_project.run("export", "supabase", "--schemas"))
    command.succeeds(new_project.run("plan"))


def test_setup_makes_no_job_whose_statement_a_cron_job_of_another_name_runs(new_project: Project) -> None:
    """As after `jobs import --write` of a statement under a name that no table can have: it would run twice."""
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("create extension pg_cron")
        connection.execute("select cron.schedule('Nightly (EU)', '0 6 * * *', ' SELECT  app.bill();')")
    before = contents(new_project.cluster)
    table = "[jobs.nightly]\nsql = 'select app.bill()'\nschedule = '{}'\n"
    Path("autosync.toml").write_text(table.format("0 6 * * *"))
    refused = new_project.setup("-q")
    assert "'Nightly (EU)' (number 1) runs the statement of nightly already" in command.refused(refused, 5)
    assert "jobs adopt nightly --from 1" in refused.hints[0]
    planned = new_project.run("plan", "-q")
    assert (planned.code, planned.errors) == (5, refused.errors)
    assert contents(new_project.cluster) == before
    # one that is switched off, and another time, are no second run
    for change in (
        "select cron.alter_job(1, active := false)",
        "select cron.alter_job(1, '0 7 * * *', active := true)",
    ):
        with clusters.connect(new_project.cluster) as connection:
            connection.execute(change)
        command.succeeds(new_project.run("plan", "-q"))
    # as the hint says
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("select cron.alter_job(1, '0 6 * * *')")
    command.succeeds(new_project.run("migrate"))
    command.succeeds(new_project.run("jobs", "adopt", "nightly", "--from", "1", "--yes"))
    assert "nightly" not in command.succeeds(new_project.run("plan")).out


@pytest.mark.long
def test_setup_makes_no_job_whose_calls_a_cron_job_of_another_name_makes(new_project: Project) -> None:
    """As after `jobs import --write` of a job whose name no table can have."""
    call = f"select net.http_post(url := '{new_project.stub.url}/functions/v1/daily', body := '{{\"full\": true}}');"
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("create extension pg_cron; create extension pg_net with schema extensions")
        connection.execute("select cron.schedule('Daily Report (EU)', '0 6 * * *', %s)", [call])
    before = contents(new_project.cluster)
    table = "[jobs.daily]\nfunction = 'daily'\nschedule = '{}'\nbody = {{ full = {} }}\n"
    Path("autosync.toml").write_text(table.format("0 6 * * *", "true"))
    refused = new_project.setup("-q")
    assert "'Daily Report (EU)' (number 1) makes the calls of daily already" in command.refused(refused, 5)
    assert "jobs adopt daily --from 1" in refused.hints[0]
    planned = new_project.run("plan", "-q")
    assert (planned.code, planned.errors) == (5, refused.errors)
    assert contents(new_project.cluster) == before
    # so it is with a statement
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("select cron.schedule('0 7 * * *', 'select  2;')")
    Path("autosync.toml").write_text('[jobs.nightly]\nsql = "select  2"\nschedule = "0 7 * * *"\n')
    refused = new_project.setup("-q")
    assert "without a name (number 2) runs the statement of nightly already" in command.refused(refused, 5)
    # another body or another time is another job
    Path("autosync.toml").write_text(table.format("0 6 * * *", "false"))
    command.succeeds(new_project.setup("--no-wait"))
    Path("autosync.toml").write_text(table.format("0 7 * * *", "true"))
    command.succeeds(new_project.run("setup", "--no-wait"))
    message = command.refused(new_project.run("jobs", "adopt", "daily", "--from", "1", "-q"), 2)
    assert "daily is a job of autosync-db already" in message
    # nor does a job get another name unseen
    Path("autosync.toml").write_text(table.format("0 7 * * *", "true").replace("daily]", "renamed]"))
    renamed = command.succeeds(new_project.run("setup", "--no-wait"))
    assert "daily is not in the file and goes on running" in renamed.err
