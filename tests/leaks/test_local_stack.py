"""The local stack: its secrets are in private files, and what a user has exported reaches no process of it."""

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from autosync_db.local import stack
from tests.leaks.conftest import Sampler
from tests.support import command, keys
from tests.support.command import Result

pytestmark = [pytest.mark.server, pytest.mark.long]  # the server is the stack's own


@dataclass
class Local:
    """A running stack, what was sampled while it started, and a key of production that the user had exported."""

    folder: Path
    exported: str
    command_lines: str
    said: str

    def start(self, *arguments: str, variables: dict[str, str] | None = None) -> Result:
        """Run a command on it as a process."""
        return self._keep(command.run_process(*arguments, folder=self.folder, variables=variables))

    def run(self, *arguments: str, variables: dict[str, str] | None = None) -> Result:
        """Run a command on it in this process."""
        return self._keep(command.run(*arguments, folder=self.folder, variables=variables))

    def _keep(self, result: Result) -> Result:
        self.said += result.out + result.err
        return result

    @property
    def secrets(self) -> dict[str, str]:
        """Return every secret that the stack has made."""
        home = self.folder / ".autosync"
        found: dict[str, str] = json.loads((home / "keys.json").read_text())
        del found["anon"]
        found["service key"] = (home / "service_role_key").read_text().strip()
        for line in (home / "cluster" / "pgpass").read_text().splitlines():
            found[f"password of {line.split(':')[3]}"] = line.split(":")[4]
        return found

    def processes(self) -> list[psutil.Process]:
        """Return every process of the stack."""
        state = json.loads((self.folder / ".autosync" / "state.json").read_text())
        started = [psutil.Process(one["pid"]) for one in state["processes"].values()]
        pid = int((self.folder / ".autosync" / "cluster" / "data" / "postmaster.pid").read_text().split()[0])
        started.append(psutil.Process(pid))
        return [*started, *(child for one in started for child in one.children(recursive=True))]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A stack that was started, set up and called by somebody who has a key of production in the environment."""
    folder = tmp_path_factory.mktemp("local")
    exported = keys.secret().reveal()
    sampler = Sampler()
    made = Local(folder, exported, "", "")
    variables = dict.fromkeys(("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEYS", "PGPASSWORD"), exported)
    # what Deno finds its packages with
    found = ("SSL_CERT_", "NODE_EXTRA_CA_CERTS", "DENO_", "NPM_CONFIG_")
    variables |= {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(found) or name.lower().endswith("_proxy")
    }
    try:
        command.succeeds(made.start("local", "up", variables=variables))
        command.succeeds(made.start("setup", "--target", "local", "-vv"))
        command.succeeds(made.start("jobs", "trigger", "--target", "local", "-vv"))
        sampler.stop()
        made.command_lines = "\n".join(sampler.command_lines)
        yield made
    finally:
        command.run_process("local", "down", "--purge", folder=folder)


def test_no_command_line_holds_a_secret(local: Local) -> None:
    assert len(local.secrets) == 5
    assert "worker_bootstrap" in local.command_lines, "the function's process was seen"
    held = {name for name, value in local.secrets.items() if value in local.command_lines}
    assert held == set()
    assert local.exported not in local.command_lines


def test_no_process_has_what_the_user_exported(local: Local) -> None:
    running = local.processes()
    assert len(running) > 5
    for process in running:
        environment = Path(f"/proc/{process.pid}/environ").read_bytes().decode(errors="replace")
        assert local.exported not in environment, process.cmdline()


def test_neither_logs_nor_output_hold_a_secret(local: Local) -> None:
    logs = {name: stack.Stack(local.folder / ".autosync").log(name) for name in stack.LOGS}
    # the real pg_net logs into the server's
    texts = {name: log.read_text() for name, log in logs.items() if log.exists() or name != "pg_net"}
    texts["output"] = local.said
    assert texts["edge"]
    held = {(where, name) for where, text in texts.items() for name, value in local.secrets.items() if value in text}
    assert held == set()


@pytest.mark.long
def test_every_file_with_a_secret_is_its_owners_alone(local: Local) -> None:
    values = [*local.secrets.values(), local.exported]
    open_files = []
    for parent, _, names in os.walk(local.folder / ".autosync"):
        if parent.startswith(str(local.folder / ".autosync" / "deno")):
            continue
        for path in (Path(parent, name) for name in names):
            if path.is_symlink() or not path.is_file() or "cluster/data" in str(path):
                continue
            text = path.read_bytes().decode(errors="replace")
            if path.stat().st_mode & 0o077 and any(value in text for value in values):
                open_files.append(path)
    assert open_files == []
    assert (local.folder / ".autosync" / "cluster").stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_the_command_that_setup_names_gives_the_function_its_cron_secret(local: Local) -> None:
    """On real Deno behind the local gateway, from the service key to a cron secret and to the next one."""
    by_secret = {"AUTOSYNC_FUNCTION__AUTH": "cron_secret"}
    first = local.run("setup", "--target", "local", "--format", "json", variables=by_secret)
    assert first.code == 3, first
    program, *hand_over = shlex.split(first.json()["steps"][-1]["result"].partition(";")[0])
    assert program == "autosync-db"
    rotate = ("rotate", "--generate", "--target", "local", "--format", "json")

    command.succeeds(local.run(*hand_over))
    command.succeeds(local.run("setup", "--target", "local", variables=by_secret))
    [old] = _given(local)
    assert local.run(*rotate, variables=by_secret).json()["outcome"] == "generated"
    command.succeeds(local.run(*hand_over))
    assert command.succeeds(local.run(*rotate, variables=by_secret)).json()["outcome"] == "rotated"
    command.succeeds(local.run(*hand_over))
    [new] = _given(local)
    command.succeeds(local.run("jobs", "trigger", "--target", "local"))
    assert old != new
    assert old not in local.said
    assert new not in local.said


def _given(local: Local) -> list[str]:
    return (local.folder / ".autosync" / "functions.env").read_text().strip().partition("=")[2].split(",")


@pytest.mark.long
def test_git_ignores_the_stack(local: Local) -> None:
    assert (local.folder / ".autosync" / ".gitignore").read_text() == "*\n"


@pytest.mark.long
def test_the_remedy_of_a_stopped_edge_starts_it(local: Local) -> None:
    state = json.loads((local.folder / ".autosync" / "state.json").read_text())
    edge = psutil.Process(state["processes"]["edge"]["pid"])
    for process in (*edge.children(recursive=True), edge):
        process.kill()
    edge.wait(20)
    refused = local.run("jobs", "trigger", "--target", "local")
    assert refused.code == 3
    report = local.run("verify", "--target", "local", "--format", "json").json()
    [found] = [one for one in report["checks"] if one["id"] == "project_url_reachable"]
    assert (found["remedy"], found["remedy_kind"]) == ("autosync-db local up", "command")
    command.succeeds(local.start(*shlex.split(found["remedy"])[1:]))
    command.succeeds(local.run("jobs", "trigger", "--target", "local"))
    command.succeeds(local.run("verify", "--target", "local"))
