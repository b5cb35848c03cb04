"""The wheel carries every file that the code needs, nothing else, and works from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from autosync_db.report import pages
from autosync_db.schema import migrate

ROOT = Path(__file__).parents[2]
BUNDLED = ("sql", "alembic", "templates", "docs/checks", *pages.TOPICS.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel unpacked by pip; its dependencies come from the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "-t",
            str(folder),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def run(installed: Path, *arguments: str) -> str:
    """Run Python on the installed wheel, from the root folder, and return what it prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(installed),
        "NO_COLOR": "1",
        "HOME": str(installed),
    }
    done = subprocess.run(
        [sys.executable, *arguments], cwd="/", env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_holds_the_tracked_files_and_no_other(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "autosync_db", *BUNDLED],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    wanted = {
        name if name.startswith("autosync_db/") else f"autosync_db/_bundled/{name}"
        for name in tracked
        if name and (ROOT / name).exists()
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held - wanted == set(), "in the wheel but not in git: add it, or have .gitignore name it"
    assert wanted - held == set(), "in git but not in the wheel"


def test_wheel_is_typed_and_has_its_command(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "autosync_db/py.typed" in names
    (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "autosync-db = autosync_db.cli:main" in zipfile.ZipFile(wheel).read(entry_points).decode()


def test_installed_wheel_runs_on_its_own_files(installed: Path) -> None:
    places = "import autosync_db.resources as r; print(r.__file__); print(r.locate('sql'))"
    printed = run(installed, "-c", places).splitlines()
    assert printed == [str(installed / "autosync_db/resources.py"), str(installed / "autosync_db/_bundled/sql")]


def test_installed_wheel_shows_help(installed: Path) -> None:
    assert "migrate" in run(installed, "-m", "autosync_db", "--help")


@pytest.mark.long
def test_installed_wheel_prints_the_same_script_as_the_checkout(installed: Path) -> None:
    assert run(installed, "-m", "autosync_db", "migrate", "--sql").strip() == migrate.script_sql().strip()


@pytest.mark.long
def test_installed_wheel_knows_the_same_checks_as_the_checkout(installed: Path) -> None:
    listed = run(installed, "-c", "from autosync_db.health import catalogue; print(*catalogue.all_checks())").split()
    modules = {path.stem for path in (ROOT / "autosync_db/health/checks").glob("*.py")} - {"__init__"}
    assert set(listed) == modules
