"""`uses: …/autosync-db`: the action of this repository, run by a stand-in of GitHub's machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from autosync_db.local.cluster import Cluster
from tests.support import keys, tools
from tests.workflows.conftest import Runner
from tests.workflows.github import Job, Machine

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
# what installs: a machine's mirrors and certificates
INSTALLERS = ("PIP_", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "UV_")


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    """The action, parsed."""
    found: dict[str, Any] = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def machine(runner: Runner, tmp_path: Path) -> Machine:
    """A machine whose Python installs nothing: it writes down what it is to do."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # stands for `python3.13 -m venv FOLDER`, and its pip for that of the folder
    runner.install(
        "python3.13",
        f'[ "$1" != -c ] || exit 0; mkdir -p "$3/bin" && cp {runner.programs}/autosync-db "$3/bin/"'
        f' && cp {runner.programs}/pip "$3/bin/python"',
    )
    runner.install("pip", f'printf "%s\\n" "$*" >> {temporary}/pip-calls')
    return Machine(Path.cwd(), runner.programs, temporary)


def of(cluster: Cluster) -> dict[str, str]:
    """Return the variable that names a database."""
    return {"SUPABASE_DB_URL": cluster.url().reveal()}


@pytest.mark.long
def test_one_line_verifies_and_tells_what_is_wrong(action: dict[str, Any], machine: Machine, shared: Cluster) -> None:
    Path("autosync.toml").write_text('[targets.main]\ndatabase_url_env = "SUPABASE_DB_URL"\n')
    done = machine.run_action(action, {}, of(shared), ROOT)
    assert done.result == "failure"
    assert done.outputs == {"exit-code": "3"}
    assert "::error title=secrets_present::" in done.log
    assert "## autosync-db verify: critical" in done.summary
    assert shared.passwords["postgres"] not in done.log


@pytest.mark.long
def test_commands_run_in_order_until_one_fails_and_their_output_goes_where_it_is_wanted(
    action: dict[str, Any], machine: Machine, runner: Runner
) -> None:
    calls = runner.records_calls()
    key = keys.secret().reveal()
    (machine.repository / "a folder").mkdir()
    (machine.repository / "a folder" / "key.sql").write_text(key)
    commands = "explain   head_applied\n\nsecrets scan --format sarif\nexplain server_reachable\n"
    given = {"command": commands, "working-directory": "a folder", "output": "found.sarif", "target": "main"}
    done = machine.run_action(action, {**given, "command": "secrets scan --format sarif"}, {}, ROOT)
    assert (done.result, done.outputs["exit-code"]) == ("failure", "3")
    log = (machine.repository / "a folder" / "found.sarif").read_text()
    assert json.loads(log)["runs"][0]["results"]
    assert key not in log + done.log
    machine.run_action(action, given, {}, ROOT)
    assert calls.read_text().splitlines()[1:] == ["explain head_applied", "secrets scan --format sarif"]


def test_nothing_of_an_input_is_run_by_the_shell(action: dict[str, Any], machine: Machine, runner: Runner) -> None:
    runner.install("autosync-db", f'for word; do printf "%s\\n" "$word" >> {machine.temporary}/words; done')
    command = 'verify --only $(touch\towned) `touch owned` ; touch owned "a b" * ${HOME} && x'
    machine.run_action(action, {"command": command, "target": "$(touch owned)", "config": "`touch owned`"}, {}, ROOT)
    words = (machine.temporary / "words").read_text().split("\n")[:-1]
    assert words == command.split()
    assert not list(machine.repository.rglob("owned"))
    refused = machine.run_action(action, {"command": "verify --database-url=postgresql://u:p@h/d"}, {}, ROOT)
    assert refused.result == "failure"
    assert "give the address of the database by env" in refused.log
    # inputs and secrets reach a script by its environment alone
    assert not [step for step in action["runs"]["steps"] if "${{" in step["run"]]


@pytest.mark.long
def test_only_what_the_lock_has_the_hash_of_is_installed_and_only_once(
    action: dict[str, Any], machine: Machine
) -> None:
    for _ in range(2):
        machine.run_action(action, {"command": "explain head_applied"}, {}, ROOT)
    lock, package = (machine.temporary / "pip-calls").read_text().splitlines()
    assert {"--require-hashes", "--only-binary", str(ROOT / ".ci" / "runtime.txt")} <= set(lock.split())
    assert {"--no-deps", "--no-index", str(ROOT)} <= set(package.split())


def test_without_a_python_or_linux_the_error_says_what_to_do(
    action: dict[str, Any], machine: Machine, tmp_path: Path
) -> None:
    step = action["runs"]["steps"][0]["run"]

    def install(system: str) -> Job:
        made = Job("success")
        alone = tmp_path / system
        alone.mkdir()
        environment = {"PATH": str(alone), "RUNNER_OS": system, "RUNNER_TEMP": str(alone)}
        done = subprocess.run(
            ["/bin/bash", "-eo", "pipefail", "-c", step], env=environment, check=False, capture_output=True, text=True
        )
        made.outputs = {"log": done.stdout, "code": str(done.returncode)}
        return made

    assert "Python 3.11, 3.12 or 3.13 is missing" in install("Linux").outputs["log"]
    assert "this action runs on Linux" in install("macOS").outputs["log"]


@pytest.mark.long
def test_it_installs_itself_from_its_lock(action: dict[str, Any], runner: Runner, tmp_path: Path) -> None:
    copy = tmp_path / "action"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith("tests/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    version = f"python3.{sys.version_info.minor}"
    if not any(Path(place, version).exists() for place in os.get_exec_path()):
        (runner.programs / version).symlink_to(Path(sys.executable).resolve())
    (runner.programs / "autosync-db").unlink()
    machine = Machine(Path.cwd(), runner.programs, temporary)
    variables = {name: value for name, value in os.environ.items() if name.upper().startswith(INSTALLERS)}
    done = machine.run_action(action, {"command": "explain head_applied", "output": "page"}, variables, copy)
    assert done.result == "success", done.log
    assert Path("page").read_text().startswith("# head_applied")


def test_the_linters_find_nothing(tmp_path: Path) -> None:
    beside = Path(sys.executable).parent
    zizmor = tools.find("zizmor", beside, install="install it: make setup")
    done = subprocess.run(
        [str(zizmor), "--offline", "--no-progress", "--persona", "pedantic", "--format", "json", str(ACTION)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == []
    # actionlint looks at an action where a workflow uses it: a repository of its own
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "action.yml").write_text(ACTION.read_text())
    used = tmp_path / ".github/workflows/ci.yml"
    text = (
        "on: push\njobs:\n  verify:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: ./\n"
        "        with:\n          command: verify\n          target: production\n"
    )
    actionlint = tools.find("actionlint", beside, install="install it: make setup")

    def lint() -> str:
        return subprocess.run(
            [str(actionlint), "-no-color", str(used)], cwd=tmp_path, check=False, capture_output=True, text=True
        ).stdout

    used.write_text(text)
    assert lint() == ""
    used.write_text(text.replace("command:", "commands:"))
    assert 'input "commands" is not defined' in lint(), "it would find what is wrong"
