"""Which commands there are, what their help shows, and what is imported for it."""

import ast
import importlib.util
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from autosync_db import __version__, cli
from autosync_db.cli.commands import COMMANDS
from tests.support import cases, command

LINES = {name: line for lines in COMMANDS.values() for name, line in lines.items()}
# not pydantic: Typer itself imports it where it is installed
HEAVY = {"sqlalchemy", "alembic", "httpx", "psycopg", "pydantic_settings", "jinja2", "jwt", "tenacity"}
COMMON = ("--target", "--database-url", "--config", "--format", "--verbose", "--quiet")
# what Typer and Rich draw around texts
FRAMES = re.compile(r"[│╭╮╰╯─\s]+")


def test_the_commands_of_the_contract_are_there() -> None:
    assert {" ".join(path) for path in command.leaves()} >= {
        "init", "setup", "migrate", "rollback", "status", "rotate", "verify", "explain", "repair", "runs",
        "jobs list", "jobs show", "jobs pause", "jobs resume", "jobs reschedule", "jobs trigger", "jobs remove",
        "jobs preview", "jobs import", "plan", "export supabase", "scaffold function",
        "scaffold workflow", "scaffold monitoring",
        "schedules list", "schedules add", "schedules set", "schedules enable",
        "schedules disable", "schedules remove", "schedules preview", "secrets list", "secrets set",
        "secrets history", "secrets delete", "local up", "local down", "local status", "local logs", "local tick",
    }  # fmt: skip


def test_job_is_the_same_word_as_jobs() -> None:
    shown = [command.succeeds(command.run(word, "show", "--help")).out for word in ("job", "jobs")]
    assert shown[0].replace("autosync-db job ", "autosync-db jobs ").split() == shown[1].split()


def test_the_table_of_commands_agrees_with_their_modules() -> None:
    modules = {found.name for found in pkgutil.iter_modules(cli.__path__)}
    assert {name for name in modules if "\napp = " in _source(name)} == set(LINES)
    root: Any = typer.main.get_command(cli.app)
    for name, line in LINES.items():
        first = root.commands[name].loaded.help.partition("\n\n")[0]
        assert first == line, f"{name}: the first line of its help is another one in commands.py"


def _source(module: str) -> str:
    spec = importlib.util.find_spec(f"autosync_db.cli.{module}")
    assert spec is not None
    assert spec.origin is not None
    with open(spec.origin, encoding="utf-8") as file:
        return file.read()


def _imported(*command_lines: tuple[str, ...]) -> set[str]:
    """Return what a process has imported after these commands."""
    probe = (
        "import sys\nfrom autosync_db import cli\n"
        f"for arguments in {list(command_lines)!r}:\n"
        "    try:\n        cli.app(list(arguments))\n"
        "    except SystemExit as leaving:\n        assert not leaving.code, arguments\n"
        "print(list(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], env=command.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(ast.literal_eval(done.stderr.strip().splitlines()[-1]))


def test_the_help_of_the_root_and_the_version_import_no_command() -> None:
    imported = _imported(("--help",), ("--version",))
    assert "typer" in imported, "the probe sees what was imported"
    assert not {name for name in LINES if f"autosync_db.cli.{name}" in imported}
    assert "rich" not in _imported(("--version",))


def test_the_help_of_every_command_imports_nothing_heavy() -> None:
    imported = _imported(*((*path, "--help") for path in command.paths()))
    assert {f"autosync_db.cli.{name}" for name in LINES} <= imported
    assert not imported & HEAVY


# a narrow terminal breaks the texts, a wide one only spreads them
@pytest.mark.long
@pytest.mark.parametrize("columns", [80, 200])
def test_help_shows_every_text_as_it_is_written(columns: int) -> None:
    seen = set()
    for path in command.paths():
        shown = _plain(command.succeeds(command.run(*path, "--help", variables={"COLUMNS": str(columns)})).out)
        for text in _texts(path):
            assert _plain(text) in shown, f"{path} at {columns} columns: {text}"
            seen |= set(re.findall(r"\[\w+\]", text))
        if path in command.leaves():
            assert all(option in shown for option in COMMON), path
    assert "[function]" in seen, "there are texts in brackets"


def _texts(path: tuple[str, ...]) -> list[str]:
    """Return the help texts of a command as its source has them."""
    found: Any = typer.main.get_command(cli.app)
    for name in path:
        found = found.commands[name]
        found = getattr(found, "loaded", found)
    return [part.help for part in (found, *found.params) if part.help]


def _plain(text: str) -> str:
    return FRAMES.sub(" ", text).strip()


def test_version() -> None:
    assert command.succeeds(command.run("--version")).out == f"autosync-db {__version__}\n"


def test_the_shell_completes_commands_and_options() -> None:
    for typed, offered in (
        ("ro", {"rollback", "rotate"}),
        ("schedules pre", {"preview"}),
        ("migrate --s", {"--sql"}),
    ):
        words = f"autosync-db {typed}"
        request = {
            "_AUTOSYNC_DB_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)
        }  # fmt: skip
        assert set(command.run(variables=request).out.split()) == offered, typed


def test_the_script_for_the_shell_is_printed() -> None:
    # which shell asks is otherwise read off the processes above this one
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = command.succeeds(command.run("--show-completion", "bash", variables=named))
    assert "_AUTOSYNC_DB_COMPLETE=complete_bash" in shown.out


def test_a_shell_completes_what_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "autosync.toml").write_text("[targets.production]\n[targets.staging]\n")
    lines = {
        "explain job_a": ["job_active"],
        "explain ado": ["adoption"],
        "verify --only job_a": ["job_active"],
        "repair job_a": ["job_active"],
        "status --target st": ["staging"],
        "schedules ru": ["run"],
    }
    with cases.collected() as case:
        for line, completed in lines.items():
            with case(line):
                words = f"autosync-db {line}"
                asked = {
                    "_AUTOSYNC_DB_COMPLETE": "complete_bash",
                    "COMP_WORDS": words,
                    "COMP_CWORD": str(len(words.split()) - 1),
                }
                assert command.run(variables=asked, folder=tmp_path).out.split() == completed
