"""The path of who has the wheel alone: a fresh environment without the extras, an empty folder, a project."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autosync_db.report import pages
from tests.cli.conftest import Project
from tests.support import cases, command
from tests.support.command import Result

ROOT = Path(__file__).parents[2]
# where it is installed already; a list of programs tries one after the other, e.g. of several versions of Python
PROGRAMS = os.environ.get("AUTOSYNC_TEST_WHEEL", "").split()

# two dozen processes, beside all other tests
pytestmark = [pytest.mark.long, pytest.mark.one_version, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=PROGRAMS or [""])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of the wheel, installed with what it depends on and nothing else."""
    if request.param:
        return Path(request.param)
    folder = tmp_path_factory.mktemp("wheel")
    for arguments in (
        ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)),
        ("-m", "venv", str(folder / "fresh")),
    ):
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    python = folder / "fresh/bin/python"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, capture_output=True)
    return folder / "fresh/bin/autosync-db"


class User:
    """Somebody in an empty folder, whose project is there."""

    def __init__(self, program: Path, project: Project, folder: Path) -> None:
        self.program, self.project, self.folder = program, project, folder
        self.said: list[str] = []

    def run(self, line: str, stdin: str = "") -> Result:
        """Run a command line as a process of its own."""
        url = {"SUPABASE_DB_URL": self.project.cluster.url().reveal(), "HOME": str(self.folder), "COLUMNS": "80"}
        done = subprocess.run(
            [self.program, *line.split()],
            env=command.environment(variables=url),
            input=stdin,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.said += [done.stdout, done.stderr]
        return Result(done.returncode, done.stdout, done.stderr)

    def succeeds(self, line: str, stdin: str = "") -> Result:
        """Run a command line that must exit 0."""
        return command.succeeds(self.run(line, stdin))


@pytest.fixture
def user(program: Path, new_project: Project, tmp_path: Path) -> User:
    return User(program, new_project, tmp_path)


def test_from_an_empty_folder_to_a_healthy_project(user: User) -> None:
    python = user.program.with_name("python")
    for extra in ("pycurl", "deno", "psutil"):
        found = subprocess.run([python, "-c", f"import {extra}"], check=False, capture_output=True)
        assert found.returncode != 0, f"{extra} is here: this proves nothing"

    key = user.project.key.reveal() + "\n"
    assert json_of(user.succeeds("audit --format json"))["jobs"] == []
    user.succeeds("init")
    settings = user.folder / "autosync.toml"
    settings.write_text(
        re.sub(r"(?m)^# project_ref.*$", f'project_url = "{user.project.stub.url}"', settings.read_text())
    )
    unasked = user.run("setup")
    assert (unasked.code, "--service-role-key-file" in unasked.err) == (6, True), "nobody can be asked for the key"
    user.succeeds("plan")
    user.succeeds("setup --service-role-key-file -", stdin=key)
    again = user.succeeds("setup")
    assert not re.search(r"(?m)^\* ", again.err), "a second time changes nothing"
    id = user.succeeds("schedules add --integration 00000000-0000-4000-8000-000000000001").out.strip()
    with cases.collected() as case:
        for line in (
            "plan --check", "migrate --check", "status", "verify", "audit", "jobs list", "jobs show", "jobs trigger",
            "schedules list", f"schedules show {id[:8]}", "runs", "secrets list", "secrets history",
            "rollback base --dry-run", "export supabase", "export supabase --schemas", "scaffold function --yes",
            "scaffold function --plain daily-report --yes", "scaffold workflow",
            "scaffold monitoring", "secrets scan .",
        ):  # fmt: skip
            with case(line):
                user.succeeds(line)
        with case("what does not claim"):
            assert user.run(f"schedules run {id[:8]}").code == 3
        with case("what needs the extra names it"):
            assert user.run("local up").code == 2
            assert "autosync-db[local]" in user.said[-1]
    for folder in ("supabase/migrations", "supabase/schemas", "supabase/functions", ".github/workflows", "monitoring"):
        assert list((user.folder / folder).iterdir()), folder
    text = "\n".join(user.said)
    assert not re.search(r"\bdocs/|[a-z]\.md\b|\bMakefile\b|\bmake (?:demo|test|setup)\b|Traceback", text)
    assert user.project.key.reveal() not in text


def test_every_page_and_every_help_is_in_the_wheel(program: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], cwd=tmp_path, env={"NO_COLOR": "1"}, capture_output=True, text=True, check=True
        )
        return done.stdout

    listed = run("explain")
    assert all(id in listed for id in pages.ids())
    for topic in pages.TOPICS:
        assert run("explain", topic).strip() == pages.page(topic).strip()
    assert run("explain", "secrets_present").strip() == pages.page("secrets_present").strip()
    assert "autosync.dispatch" in run("migrate", "--sql")
    for path in (("--help",), ("schedules", "--help"), ("local", "--help"), ("rotate", "--help")):
        assert run(*path)


def json_of(result: Result) -> dict[str, object]:
    """Return what a command printed as JSON."""
    found: dict[str, object] = result.json()
    return found
