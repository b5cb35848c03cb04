"""`local up` with PostgreSQL in a container, on whichever engines this machine has."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from autosync_db.errors import AutosyncError
from autosync_db.local import engine
from autosync_db.local.engine import Engine, Program
from autosync_db.local.stack import Stack
from autosync_db.local.state import State
from tests.support import command
from tests.support.command import Result

# where this is set, an engine that does not answer is a failure
DEMANDED = os.environ.get("AUTOSYNC_TEST_CONTAINERS") == "1"
Run = Callable[..., Result]
MADE = State(port=1, major=17, stand_in=True, edge_port=2, functions="", key_kind="legacy")


def running(program: Program) -> Engine:
    """Return the engine with the project's image in it; skip the test where there is none."""
    try:
        found = engine.find(program)
        engine.build(found, say=print)
    except AutosyncError as error:
        if DEMANDED and program == "docker":
            raise
        pytest.skip(f"{error.message}: the database in a {program} container is not tested here")
    return found


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A function that runs `autosync-db ...` in a folder of its own; whatever stack is there is gone afterwards."""

    def run(*arguments: str) -> Result:
        # Deno's certificates and the engine's address are in the environment
        return command.run_process(*arguments, folder=tmp_path, variables=os.environ)

    yield run
    if (tmp_path / ".autosync").exists():
        command.succeeds(run("local", "down", "--purge"))


def inspect(runner: Engine, name: str) -> dict[str, Any]:
    """Return what the engine knows of a container."""
    found: dict[str, Any] = json.loads(runner.demand("container", "inspect", name))[0]
    return found


def name_of(folder: Path) -> str:
    """Return the name of the stack's container, which is the volume's too."""
    found: str = json.loads((folder / ".autosync/container.json").read_text())["name"]
    return found


@pytest.mark.parametrize("program", ["docker", "podman"])
def test_the_chain_runs_with_the_database_in_a_container_and_leaves_nothing(
    program: Program, run: Run, tmp_path: Path
) -> None:
    runner = running(program)
    shown = command.succeeds(run("local", "up", "--engine", program)).out
    name = name_of(tmp_path)
    assert f"in the {program} container {name}" in " ".join(shown.split())
    assert inspect(runner, name)["Config"]["Labels"]["autosync-db.stack"] == str(tmp_path / ".autosync")
    command.succeeds(run("setup", "--target", "local"))
    report = command.succeeds(run("verify", "--target", "local", "--format", "json"))
    assert report.json()["status"] == "ok"

    stack = Stack(tmp_path / ".autosync")
    database = stack.cluster()
    listening = {
        found.laddr[0]
        for found in psutil.net_connections("inet")
        if found.laddr and found.status == psutil.CONN_LISTEN and found.laddr[1] == database.port
    }
    assert listening == {"127.0.0.1"}
    known = json.dumps(inspect(runner, name))
    assert [role for role, password in database.passwords.items() if password in known] == []

    command.succeeds(run("local", "down"))
    assert runner.run("container", "inspect", name).returncode != 0
    command.succeeds(run("local", "up"))  # the engine is remembered
    with psycopg.connect(stack.cluster().url().reveal()) as connection:
        assert connection.execute("select count(*) from public.pg_cron_secrets").fetchone() == (2,)
        # pg_cron's process starts again and finds the password of the job's role
        assert connection.execute("select count(*) from cron.job where active").fetchone() == (2,)
    assert "ready to accept connections" in command.succeeds(run("local", "logs", "postgres")).out

    command.succeeds(run("local", "down", "--purge"))
    assert runner.run("container", "inspect", name).returncode != 0
    assert runner.run("volume", "inspect", name).returncode != 0
    assert not (tmp_path / ".autosync").exists()


def test_an_image_without_pg_cron_is_refused_by_name(run: Run) -> None:
    runner = running("docker")
    base = "localhost/autosync-db/base:trixie"
    if not runner.has_image(base):
        pytest.skip(f"{base} is not here; .ci/containers makes it")
    refused = run("local", "up", "--engine", "docker", "--image", base)
    assert command.refused(refused, 2) == f"the image {base} has no pg_cron"


def test_what_an_interrupted_creation_left_is_purged(run: Run, tmp_path: Path) -> None:
    runner = running("docker")
    folder = tmp_path / ".autosync"
    folder.mkdir()
    name = Stack(folder)._container_name
    runner.demand("volume", "create", name)
    (folder / "container.json").write_text(json.dumps({"program": "docker", "name": name, "image": None}))
    command.succeeds(run("local", "down", "--purge"))
    assert runner.run("volume", "inspect", name).returncode != 0
    assert not folder.exists()


def test_the_engine_is_chosen_once(tmp_path: Path) -> None:
    (tmp_path / ".autosync").mkdir()
    stack = Stack(tmp_path / ".autosync")
    (tmp_path / ".autosync" / "container.json").write_text(
        json.dumps({"program": "podman", "name": stack._container_name, "image": None})
    )
    for kind, image in (("system", None), (None, "other/image:1")):
        with pytest.raises(AutosyncError, match="runs on podman with its own image") as caught:
            stack._require_same(MADE, None, kind, image)  # type: ignore[arg-type]
        assert "--purge" in caught.value.hint
    stack._require_same(MADE, None, None, None)
    stack._require_same(MADE, None, "docker", None)
    shutil.rmtree(tmp_path / ".autosync")


@pytest.mark.long
def test_a_copy_of_the_folder_does_not_touch_the_container_of_the_original(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / ".autosync"
    folder.mkdir()
    marker = folder / "container.json"
    marker.write_text(json.dumps({"program": "docker", "name": "autosync-of-another", "image": None}))
    assert "made in another folder" in command.refused(run("local", "down", "--purge"), 2)
    marker.unlink()


def test_an_image_needs_a_container(run: Run) -> None:
    assert "not run images" in command.refused(run("local", "up", "--engine", "system", "--image", "postgres:17"), 2)


def test_without_an_engine_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AutosyncError) as caught:
        engine.find()
    assert caught.value.exit_code == 2
    assert "docker or podman is not installed" in caught.value.message
    assert "--engine system" in caught.value.hint


def test_an_engine_that_does_not_answer_is_named_with_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'Is the docker daemon running?' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(AutosyncError) as caught:
        engine.find("docker")
    assert caught.value.exit_code == 4
    assert caught.value.message == "no container engine answers (docker: Is the docker daemon running?)"
    assert "systemctl start docker" in caught.value.hint
