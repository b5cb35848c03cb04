"""Ctrl-C and SIGTERM in the first hour: what is said to be active is what the database holds."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pexpect
import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.cli.conftest import RARELY, Listener, Project
from tests.support import clusters, command, keys

OTHER_SCHEDULE = {"AUTOSYNC_JOB__SCHEDULE": "58 23 31 12 *"}
NAMES = ("project_url", "service_role_key")
_WAITING = "select l.pid from pg_locks as l where not l.granted"


def _stop(
    project: Project,
    number: int,
    key: Secret,
    *,
    lock: str | None = None,
    is_there: Callable[[], list[Any]] | None = None,
    variables: dict[str, str] | None = None,
) -> command.Result:
    """Start setup, stop it where the lock holds it or something is there, and return what it said."""
    with clusters.connection(project.cluster, "supabase_admin") as watcher, ExitStack() as held:
        if lock is not None:
            holder = held.enter_context(clusters.connection(project.cluster, "supabase_admin"))
            holder.execute(f"begin; {lock}".encode())
        child = subprocess.Popen(
            [*command.PROGRAM, "setup", "--project-url", project.stub.url, "--service-role-key-file", "-"],
            env=command.environment(project.cluster.url(), {**RARELY, **(variables or {})}),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        held.callback(child.kill)
        assert child.stdin is not None
        child.stdin.write(key.reveal())
        child.stdin.close()
        child.stdin = None
        waiting = clusters.wait_for(is_there or (lambda: watcher.execute(_WAITING).fetchall()), "the step", patience=90)
        os.kill(child.pid, number)
        if lock is not None:
            # what waited was cancelled, and does not go on as soon as it may
            clusters.wait_for(
                lambda: not set(waiting) & set(watcher.execute(_WAITING).fetchall()), "its end", patience=90
            )
            holder.close()
        project.stub.delay_seconds = 0
        project.stub.release.set()
        out, err = child.communicate(timeout=60)
    project.stub.release.clear()
    assert key.reveal() not in out + err
    return command.Result(child.returncode, out, err)


def _active(cluster: Cluster, given: dict[str, str]) -> set[str]:
    """Return what must be said, by a look of the test's own."""
    with clusters.connection(cluster, "supabase_admin") as connection:
        if connection.execute("select to_regclass('autosync.alembic_version')").fetchone() == (None,):
            return {"nothing was changed: nothing of autosync-db is installed here"}
        stored = dict(connection.execute("select name, secret from public.pg_cron_secrets").fetchall())
        jobs = connection.execute(
            "select jobname, schedule from cron.job where active and jobname <> 'autosync-keep-house'"
        ).fetchall()
        unfinished = connection.execute("select count(*) from autosync.secret_rotation").fetchone()
    assert unfinished == (0,), "nothing is half done"
    said = {f"the job {name} is scheduled ({schedule})" for name, schedule in jobs} or {"no job is scheduled"}
    mine = [name for name in NAMES if name in stored and stored[name] == given[name]]
    others = [name for name in NAMES if name in stored and name not in mine]
    if mine:
        said.add(f"the given {' and '.join(mine)} {'is' if len(mine) == 1 else 'are'} active")
    if others:
        said.add(f"the {' and '.join(others)} of before {'is' if len(others) == 1 else 'are'} active")
    return said | ({"no secret is stored"} if not stored else set())


def _judge(project: Project, result: command.Result, key: Secret, step: str) -> None:
    message = command.refused(result, 130)
    assert re.search(rf"^✗ {step} .*interrupted$", result.err, re.MULTILINE), result.err
    expected = _active(project.cluster, {"project_url": project.stub.url, "service_role_key": key.reveal()})
    missing = {said for said in expected if said not in message}
    assert not missing, message
    # what is active need not be given again
    options = "" if f"the given {' and '.join(NAMES)} are active" in expected else " --project-url"
    assert f"autosync-db setup{options}" in result.hints[0]
    assert ("--project-url" in result.hints[0]) == bool(options)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_while_it_migrates_nothing_is_installed_and_the_same_command_ends_it(new_project: Project, number: int) -> None:
    # somebody else is making what the migration makes first
    result = _stop(new_project, number, new_project.key, lock="create schema autosync")
    _judge(new_project, result, new_project.key, "migrate")
    assert "not begun: secrets, job, call, verify" in result.err
    assert f"--project-url {new_project.stub.url} --service-role-key-file -" in result.hints[0]
    command.succeeds(new_project.setup())


# each step with what holds it there
STEPS = {
    "secrets": "lock table autosync.secret_rotation in share row exclusive mode",
    "job": "lock table autosync.job in share row exclusive mode",
    "call": None,
    "verify": "lock table cron.job_run_details in access exclusive mode",
}


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "step", [step if step == "call" else pytest.param(step, marks=pytest.mark.long) for step in STEPS]
)
def test_at_each_step_it_says_what_is_active(project: Project, step: str, number: int) -> None:
    if step == "verify":
        command.succeeds(project.setup())
    project.stub.delay_seconds = 30 if step == "call" else 0
    is_there = (lambda: project.stub.requests) if step == "call" else None
    variables = OTHER_SCHEDULE if step == "job" else {}
    result = _stop(project, number, project.key, lock=STEPS[step], is_there=is_there, variables=variables)
    _judge(project, result, project.key, step)


@pytest.mark.long
def test_a_key_that_replaces_another_is_taken_back_and_that_is_said(project: Project) -> None:
    command.succeeds(project.setup())
    seen, newer = len(project.stub.requests), keys.secret()
    project.stub.delay_seconds = 30
    result = _stop(project, signal.SIGINT, newer, is_there=lambda: project.stub.requests[seen:])
    _judge(project, result, newer, "call")
    assert "the service_role_key of before is active" in result.errors[0]


def test_before_anything_is_contacted_nothing_was_changed(listener: Listener) -> None:
    child = subprocess.Popen(
        [*command.PROGRAM, "setup", "--project-url", "http://127.0.0.1:9", "--service-role-key-env", "KEY"],
        env=command.environment(listener.database, {"KEY": keys.secret().reveal()}),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    clusters.wait_for(lambda: listener.was_called, "the connection", patience=90)
    child.send_signal(signal.SIGINT)
    result = command.Result(child.wait(30), *(child.communicate()))
    assert command.refused(result, 130) == "interrupted; nothing was changed"
    assert "--service-role-key-env KEY" in result.hints[0]


def test_in_the_questions_of_init_no_file_is_left(tmp_path: Path) -> None:
    program, *arguments = [*command.PROGRAM, "init"]
    with pexpect.spawn(
        program, arguments, cwd=str(tmp_path), env=command.environment(), encoding="utf-8", timeout=60
    ) as terminal:
        terminal.expect_exact("Project ref")
        terminal.sendline("no ref")
        terminal.expect_exact("is not a project ref")
        terminal.expect_exact("fill in later):")
        # Python overlooks one that comes between the prompt and the wait for a key, until another key is pressed
        terminal.sendintr()
        if terminal.expect_exact(["autosync.toml was not written", pexpect.TIMEOUT], timeout=10):
            terminal.sendintr()
            terminal.expect_exact("autosync.toml was not written")
        terminal.expect(pexpect.EOF)
    assert terminal.exitstatus == 130
    assert list(tmp_path.iterdir()) == []
