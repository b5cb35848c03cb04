"""`setup` on real databases, with pg_net's worker and a stub in the function's place."""

import itertools
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.cli.conftest import RARELY, Listener, Project, forget
from tests.support import cases, clusters, command, keys
from tests.support.dumps import contents

# the rows that setup writes, each with the transaction that wrote it
ROWS = """
select 'secret', xmin::text, to_jsonb(s)::text from public.pg_cron_secrets as s
union all select 'registry', xmin::text, to_jsonb(j)::text from autosync.job as j
union all select 'object', xmin::text, to_jsonb(o)::text from autosync.object as o
union all select 'version', xmin::text, to_jsonb(v)::text from autosync.alembic_version as v
union all select 'cron', xmin::text, to_jsonb(c)::text from cron.job as c
union all select 'tick', xmin::text, to_jsonb(t)::text from autosync.tick as t
union all select 'invocation', xmin::text, to_jsonb(i)::text from autosync.invocation as i
order by 1, 3
"""


def _rows(cluster: Cluster) -> list[tuple[object, ...]]:
    with clusters.connect(cluster, "supabase_admin") as connection:
        return connection.execute(ROWS).fetchall()


def _stored(cluster: Cluster) -> dict[str, str]:
    with clusters.connect(cluster) as connection:
        return dict(connection.execute("select name, secret from public.pg_cron_secrets").fetchall())


def test_the_first_run_makes_one_real_call_and_the_second_changes_nothing(new_project: Project) -> None:
    first = command.succeeds(new_project.setup())
    assert [request.path for request in new_project.stub.requests] == ["/functions/v1/auto-sync-cron"]
    assert new_project.stub.requests[0].headers["apikey"] == new_project.key.reveal()
    assert "authorization" not in new_project.stub.requests[0].headers
    assert _stored(new_project.cluster) == {
        "project_url": new_project.stub.url,
        "service_role_key": new_project.key.reveal(),
    }
    assert "waiting for the function's answer" in first.err

    rows, everything = _rows(new_project.cluster), contents(new_project.cluster)
    assert {kind for kind, *_ in rows} == {
        "secret",
        "registry",
        "object",
        "version",
        "cron",
        "tick",
        "invocation",
    }
    second = command.succeeds(new_project.setup())
    assert _rows(new_project.cluster) == rows
    assert contents(new_project.cluster) == everything
    assert len(new_project.stub.requests) == 1
    assert second.ticked == ["database", "verify"], "every other step says that it found nothing to do"

    third = command.succeeds(new_project.run("setup"))  # address and key are stored already
    assert _rows(new_project.cluster) == rows
    assert third.ticked == ["database", "verify"]


@pytest.mark.long
def test_setup_proves_health_by_verify(new_project: Project) -> None:
    done = command.succeeds(new_project.setup("--format", "json")).json()
    assert [step["name"] for step in done["steps"]] == ["database", "migrate", "secrets", "job", "call", "verify"]
    assert [step["name"] for step in done["steps"] if not step["changed"]] == ["database", "verify"]
    assert all(0 <= step["seconds"] < 60 for step in done["steps"])
    assert sum(step["seconds"] for step in done["steps"]) > 0.1
    assert done["verify"]["status"] == "ok"
    assert done["verify"]["root_causes"] == []


@pytest.mark.long
def test_a_legacy_key_is_sent_as_a_bearer_token(project: Project) -> None:
    key = keys.legacy()
    command.succeeds(project.setup(key=key))
    assert project.stub.requests[0].headers["authorization"] == f"Bearer {key.reveal()}"
    assert "apikey" not in project.stub.requests[0].headers


def test_a_rejected_key_exits_3_and_verify_names_it(project: Project) -> None:
    project.stub.answer(401, {"message": "Invalid JWT"}, error_code="UNAUTHORIZED_LEGACY_JWT")
    result = project.setup("--format", "json")
    assert result.code == 3
    assert result.json()["verify"]["root_causes"] == ["function_accepts_key"]
    verified = project.run("verify")
    assert verified.code == 3
    assert "function_accepts_key" in verified.out
    assert "401" in verified.out
    assert project.key.reveal() not in result.out + result.err + verified.out + verified.err


@pytest.mark.parametrize(
    ("status", "body", "error_code", "check"),
    [
        (404, {"message": "no"}, "NOT_FOUND", "function_deployed"),
        pytest.param(500, {"message": "no"}, None, "function_succeeds", marks=pytest.mark.long),
        (200, "<!doctype html><title>App</title>", None, "function_reached"),
        pytest.param(200, {"succeeded": 0, "failed": 2}, None, "function_succeeds", marks=pytest.mark.long),
    ],
)
def test_another_failure_exits_3_and_is_named_and_the_same_command_finishes_later(
    project: Project, status: int, body: Any, error_code: str | None, check: str
) -> None:
    project.stub.answer(status, body, error_code=error_code)
    result = project.setup("--format", "json")
    assert result.code == 3
    assert result.json()["verify"]["root_causes"] == [check]
    project.stub.answer(200)
    command.succeeds(project.setup())
    assert len(project.stub.requests) == 2


def test_a_new_key_that_the_function_rejects_is_taken_back(project: Project) -> None:
    command.succeeds(project.setup())
    before = _stored(project.cluster)
    project.stub.answer(401, error_code="UNAUTHORIZED_INVALID_JWT_FORMAT")
    newer = keys.secret()
    result = project.setup("-q", key=newer)
    assert "the previous value is active again" in command.refused(result, 6)
    assert project.stub.requests[-1].headers["apikey"] == newer.reveal(), "the new key was really tried"
    assert _stored(project.cluster) == before
    assert newer.reveal() not in result.err

    project.stub.answer(200)
    command.succeeds(project.run("jobs", "trigger"))
    assert project.stub.requests[-1].headers["apikey"] == project.key.reveal()


def test_a_new_key_that_the_function_accepts_replaces_the_old_one(project: Project) -> None:
    command.succeeds(project.setup())
    newer = keys.secret()
    command.succeeds(project.setup(key=newer))
    assert project.stub.requests[-1].headers["apikey"] == newer.reveal()
    assert _stored(project.cluster)["service_role_key"] == newer.reveal()


@pytest.mark.long
def test_a_new_address_that_rejects_the_new_key_is_taken_back_too(project: Project) -> None:
    command.succeeds(project.setup())
    before = _stored(project.cluster)
    project.stub.answer(401)
    other = project.stub.url.replace("127.0.0.1", "localhost")
    result = project.run("setup", "--project-url", other, "--service-role-key-file", "-", stdin=keys.secret().reveal())
    assert result.code == 6
    assert _stored(project.cluster) == before


@pytest.mark.long
def test_the_key_is_taken_from_every_place_that_can_hold_it(
    project: Project, key_file: Callable[[Secret], Path]
) -> None:
    key, path, address = project.key.reveal(), str(key_file(project.key)), ("--project-url", project.stub.url)
    Path("autosync.toml").write_text(
        f"[targets.here]\nproject_url = '{project.stub.url}'\nservice_role_key_file = '{path}'\n"
    )
    ways: dict[str, tuple[tuple[str, ...], str, dict[str, str]]] = {
        "stdin": ((*address, "--service-role-key-file", "-"), f"{key}\r\n", {}),
        "file": ((*address, "--service-role-key-file", path), "", {}),
        "environment": (address, "", {"SUPABASE_SERVICE_ROLE_KEY": key}),
        "named variable": ((*address, "--service-role-key-env", "OTHER"), "", {"OTHER": key}),
        "settings file": (("--target", "here"), "", {}),
    }
    with cases.collected() as case:
        for way, (arguments, stdin, variables) in ways.items():
            with case(way):
                forget(project.cluster)
                command.succeeds(project.run("setup", "--no-wait", *arguments, stdin=stdin, variables=variables))
                assert _stored(project.cluster) == {"project_url": project.stub.url, "service_role_key": key}


def test_on_a_terminal_the_key_is_asked_for_and_not_shown(project: Project) -> None:
    program, *arguments = [*command.PROGRAM, "setup", "--no-wait", "--project-url", project.stub.url]
    environment = command.environment(project.cluster.url(), {**RARELY, "TERM": "dumb"})
    with pexpect.spawn(program, arguments, env=environment, timeout=60) as terminal:
        # the blank is written when the terminal no longer shows what is typed
        terminal.expect_exact("Service key (empty: keep the stored one): ")
        terminal.sendline(project.key.reveal())
        terminal.expect(pexpect.EOF)
        shown = terminal.before
    assert terminal.exitstatus == 0, shown
    assert project.key.reveal().encode() not in shown
    assert _stored(project.cluster)["service_role_key"] == project.key.reveal()


def test_no_wait_makes_no_call(project: Project) -> None:
    result = command.succeeds(project.setup("--no-wait"))
    assert project.stub.requests == []
    assert "no-wait" in result.err
    with clusters.connect(project.cluster) as connection:
        assert connection.execute("select count(*) from net.http_request_queue").fetchone() == (0,)
        assert connection.execute(
            "select schedule, active from cron.job where jobname <> 'autosync-keep-house'"
        ).fetchall() == [("59 23 31 12 *", True)]


@pytest.mark.long
def test_the_settings_reach_the_job_and_no_job_of_another_name_is_left(new_project: Project) -> None:
    Path("autosync.toml").write_text("[job]\nname = 'nightly'\nfunction = 'other'\ntimeout = '7s'\n")
    command.succeeds(new_project.setup())
    assert "/functions/v1/other" in {request.path for request in new_project.stub.requests}
    shown = command.succeeds(new_project.run("jobs", "show", "--format", "json")).json()
    assert (shown["name"], shown["function"], shown["timeout"]) == ("nightly", "other", 7)
    with clusters.connect(new_project.cluster) as connection:
        assert connection.execute("select jobname from cron.job order by jobid").fetchall() == [
            ("autosync-keep-house",),
            ("nightly",),
        ]


@pytest.mark.long
def test_setup_after_a_manual_edit_repairs_the_job(new_project: Project) -> None:
    command.succeeds(new_project.setup())
    with clusters.connect(new_project.cluster) as connection:
        connection.execute("select cron.unschedule('auto-sync-cron-job')")
    command.succeeds(new_project.setup())
    with clusters.connect(new_project.cluster) as connection:
        assert connection.execute("select schedule from cron.job where jobname = 'auto-sync-cron-job'").fetchall() == [
            (RARELY["AUTOSYNC_JOB__SCHEDULE"],)
        ]


class TestRefusedBeforeAnythingChanges:
    """What can only be found out on the server must still be found out before the first change."""

    def test_a_key_or_an_address_that_is_nowhere_and_a_schedule_that_pg_cron_refuses(self, blank: Cluster) -> None:
        address = ("--project-url", "http://127.0.0.1:9")
        key = {"SUPABASE_SERVICE_ROLE_KEY": keys.secret().reveal()}
        wrong: tuple[tuple[tuple[str, ...], dict[str, str], int], ...] = (
            (address, {}, 6),
            ((), key, 2),
            *(
                ((*address, "--no-wait"), {**key, "AUTOSYNC_JOB__SCHEDULE": schedule}, 2)
                for schedule in ("nonsense", "61 * * * *", "* * * *")
            ),
        )
        before = contents(blank)
        with cases.collected() as case:
            for arguments, variables, code in wrong:
                with case((arguments, variables.get("AUTOSYNC_JOB__SCHEDULE"))):
                    result = command.run("setup", *arguments, "-q", database=blank.url(), variables=variables)
                    command.refused(result, code)
                    assert contents(blank) == before


class TestNobodySeesTheKey:
    """The key is in no list of processes, no statement that the server logs or shows, and no output."""

    @pytest.mark.long
    def test_in_the_process_list_while_setup_waits(self, project: Project, key_file: Callable[[Secret], Path]) -> None:
        project.stub.delay_seconds = 2
        child = subprocess.Popen(
            [
                *command.PROGRAM,
                "setup",
                "-vv",
                "--project-url",
                project.stub.url,
                "--service-role-key-file",
                str(key_file(project.key)),
            ],
            env=command.environment(project.cluster.url(), RARELY),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            clusters.wait_for(lambda: project.stub.requests, "the call", 60)
            process = psutil.Process(child.pid)
            shown = [
                Path(f"/proc/{one.pid}/cmdline").read_bytes() for one in (process, *process.children(recursive=True))
            ]
            with clusters.connect(project.cluster, "supabase_admin") as connection:
                statements = connection.execute("select string_agg(query, ' ') from pg_stat_activity").fetchone()
        finally:
            said, _ = child.communicate(timeout=60)
        assert child.returncode == 0, said
        assert b"autosync_db" in shown[0]
        assert not any(project.key.reveal().encode() in text for text in shown)
        assert project.key.reveal() not in str(statements) + said

    @pytest.mark.long
    def test_in_the_servers_log(self, new_project: Project) -> None:
        with clusters.connect(new_project.cluster, "supabase_admin") as connection:
            for setting in (
                "log_statement = 'all'",
                "log_min_duration_statement = 0",
                "log_parameter_max_length = -1",
            ):
                connection.execute(f"alter system set {setting}".encode())
            connection.execute("select pg_reload_conf()")
        command.succeeds(new_project.setup())
        newer = keys.secret()
        new_project.stub.answer(401)
        assert new_project.setup(key=newer).code == 6
        log = new_project.cluster.log.read_text()
        assert "insert into public.pg_cron_secrets" in log, "statements are logged"
        assert new_project.key.reveal() not in log
        assert newer.reveal() not in log

    @pytest.mark.long
    def test_in_any_other_command(self, project: Project) -> None:
        names = ("verify", "status", "runs", "jobs show", "jobs trigger")
        with cases.collected() as case:
            for status in (200, 401):
                forget(project.cluster)
                project.stub.answer(status)
                project.setup()
                for name, form in itertools.product(names, ("table", "json")):
                    with case((status, name, form)):
                        result = project.run(*name.split(), "-vv", "--format", form)
                        assert result.code in {0, 3}, result
                        assert project.key.reveal() not in result.out + result.err


def test_an_interrupt_is_reported_as_such(new_project: Project) -> None:
    new_project.stub.delay_seconds = 5
    child = subprocess.Popen(
        [*command.PROGRAM, "setup", "--project-url", new_project.stub.url],
        env=command.environment(
            new_project.cluster.url(), {**RARELY, "SUPABASE_SERVICE_ROLE_KEY": new_project.key.reveal()}
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    clusters.wait_for(lambda: new_project.stub.requests, "the call", 60)
    os.kill(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "error: interrupted" in said
    assert "Traceback" not in said


def test_a_key_is_refused_before_the_server_is_asked(listener: Listener) -> None:
    result = command.run(
        "setup",
        "--project-url",
        "https://example.org",
        database=listener.database,
        variables={"SUPABASE_SERVICE_ROLE_KEY": keys.legacy("anon").reveal()},
    )
    command.refused(result, 6)
    assert not listener.was_called
