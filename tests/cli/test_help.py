"""Which commands there are, what their help shows, and what is imported for it."""

import ast
import importlib.util
import pkgutil
import re
import shlex
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import typer.main

from autosync_db import __version__, cli
from autosync_db.cli.commands import ALIASES, COMMANDS
from autosync_db.cli.examples import EXAMPLES
from autosync_db.errors import closest
from autosync_db.health import catalogue
from autosync_db.local.cluster import Cluster
from autosync_db.report import pages
from autosync_db.secret import Secret
from tests.cli.test_screens import parse
from tests.support import cases, clusters, command

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
    assert not _imported(("--help",)) & {"pydantic", "rich.markdown", "rich.traceback", "markdown_it", "pygments"}


def test_the_version_is_printed_before_anything_is_loaded() -> None:
    probe = (
        "import sys\nfrom autosync_db import cli\n"
        "sys.argv[1:] = ['--version']\ncli.main()\nassert 'typer' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], env=command.environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == command.succeeds(command.run("--version")).out


def test_the_help_of_every_command_imports_nothing_heavy() -> None:
    imported = _imported(*((*path, "--help") for path in command.paths()))
    assert {f"autosync_db.cli.{name}" for name in LINES} <= imported
    assert not imported & HEAVY


def test_what_help_seldom_needs_is_there_when_it_is_used() -> None:
    probe = (
        "from autosync_db.cli import quick_help\nquick_help.load()\nfrom typer import rich_utils\n"
        "assert type(rich_utils.Markdown('*so*')).__module__ == 'rich.markdown'\n"
        "error = ValueError('no')\n"
        "found = rich_utils.Traceback.from_exception(ValueError, error, None)\n"
        "assert type(found).__module__ == 'rich.traceback'"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


def test_every_command_has_examples_that_it_understands() -> None:
    assert sorted(EXAMPLES) == sorted(" ".join(path) for path in ((), *command.leaves())), "examples of every command"
    with cases.collected() as case:
        for path, examples in EXAMPLES.items():
            shown = command.run(*path.split(), "--help").out
            for typed, _ in examples:
                with case(typed):
                    words = shlex.split(typed.replace("\\\n", " "))
                    assert typed.startswith(path)
                    parse(words)
                    # in lines of their own, which the terminal does not break
                    assert all(f" {line.strip()}" in shown for line in typed.splitlines()), shown


def _mistyped(name: str) -> str:
    """Return a name with two letters in the middle in the wrong order, or one too many."""
    middle = len(name) // 2
    swapped = name[: middle - 1] + name[middle] + name[middle - 1] + name[middle + 1 :]
    return swapped if swapped != name and len(name) > 3 else name + name[-1]


def test_what_was_meant_is_asked_wherever_a_name_is_taken() -> None:
    with cases.collected() as case:
        for path in command.paths()[1:]:
            *group, name = path
            with case(" ".join(path)):
                said = command.refused(command.run(*group, _mistyped(name)), 2)
                # tset is nearer to set
                assert f"did you mean {name}?" in said or path == ("alerts", "test")
        options = {
            option: path
            for path in command.leaves()
            for option in _options(path)
            if option.startswith("--") and len(option) > 5
        }
        for option, path in options.items():
            with case(f"{' '.join(path)} {option}"):
                said = command.refused(command.run(*path, _mistyped(option)), 2)
                assert f"did you mean {option}?" in said
        for typed, right in (
            ("verify --format jnuit", "junit"),
            ("cost --plan fere", "free"),
            ("alerts set slcak", "slack"),
            ("secrets scan --format sraif", "sarif"),
            ("trigger", "jobs trigger"),
            ("schedules list --state ovredue", "overdue"),
            ("explain rotatoin", "rotation"),
            ("migrate --sql 0080", "0008"),
            ("status --target lcoal", "local"),
            ("runs shwo 1", "show"),
        ):
            with case(typed):
                Path("autosync.toml").write_text("[targets.local]\n")
                assert f"did you mean {right}?" in command.run(*typed.split()).err
    for known in (catalogue.ids(), pages.ids(), [*LINES, *ALIASES]):
        found = {name: closest(_mistyped(name), known) for name in known}
        assert all(found.values())
        # two names may be one letter apart
        assert sum(name != near for name, near in found.items()) <= len(known) // 20, found
    assert closest("daly", ["daily-report", "digest"]) == "daily-report"
    assert closest("xyz", ["daily-report", "digest"]) is None


def _options(path: tuple[str, ...]) -> list[str]:
    found: Any = typer.main.get_command(cli.app)
    for name in path:
        found = found.commands[name]
        found = getattr(found, "loaded", found)
    return [option for parameter in found.params for option in parameter.opts]


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


def test_help_names_what_an_option_takes_and_nothing_for_a_flag() -> None:
    """Typer's own help has `--strict <bool>` and `--project-url <str>`."""
    for path in command.leaves():
        rows = re.findall(r"(?m)^│[* ]+(--.*)", command.succeeds(command.run(*path, "--help")).out)
        assert rows, path
        for row in rows:
            assert not re.search(r"<(bool|int|str|path)>", row), (path, row)
    shown = command.succeeds(command.run("verify", "--help")).out
    assert re.search(r"--strict {2,}Exit 3", shown)
    assert re.search(r"--database-url +URL ", shown)


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


SHELLS = ("bash", "zsh", "fish")


def _complete(shell: str, line: str, folder: Path, database: Secret | None = None) -> str:
    """Return what a shell is offered after a half-written line, to which nothing may be said besides."""
    asked = {
        "_AUTOSYNC_DB_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = command.run(variables=asked, folder=folder, database=database)
    assert (done.code, done.err) == (0, ""), done
    return done.out


def test_three_shells_complete_names_and_ids(shared: Cluster, tmp_path: Path) -> None:
    (tmp_path / "autosync.toml").write_text(
        '[targets.staging]\n[jobs.daily-report]\nfunction = "daily-report"\nschedule = "0 6 * * *"\n'
    )
    id = str(uuid.uuid4())
    with clusters.connect(shared, "supabase_admin") as admin:
        admin.execute(
            "insert into public.auto_sync_schedules (id, integration_id, organization_id)"
            " values (%s, gen_random_uuid(), gen_random_uuid())",
            [id],
        )
        try:
            with cases.collected() as case:
                for shell in SHELLS:
                    for line, offered in {
                        f"schedules show {id[:6]}": id,
                        "schedules set ": id,
                        "jobs show da": "daily-report",
                        "status --job da": "daily-report",
                        "verify --target st": "staging",
                        "repair job_a": "job_active",
                        "verify --skip neigh": "neighbours",
                        "explain ado": "adoption",
                        "runs sh": "show",
                        "secrets delete serv": "service_role_key",
                        "rollback 000": "0007",
                        "schedules list --state over": "overdue",
                        "local logs ed": "edge",
                    }.items():
                        with case(f"{shell}: {line}"):
                            assert offered in _complete(shell, f"autosync-db {line}", tmp_path, shared.url())
        finally:
            admin.execute("delete from public.auto_sync_schedules where id = %s", [id])


def test_a_shell_is_offered_nothing_and_shown_no_error_where_that_cannot_be_known(tmp_path: Path) -> None:
    nobody = Secret("postgresql://postgres@127.0.0.1:1/postgres")
    (tmp_path / "broken.toml").write_text("[jobs\n")
    with cases.collected() as case:
        for shell in SHELLS:
            for line in (
                "schedules show ", "runs show ", "secrets delete ", "jobs show ", "jobs show --config broken.toml ",
                "schedules show --target nobody ", "schedules show --config gone.toml ", "status --target 'x",
                "schedules show zzz",
            ):  # fmt: skip
                with case(f"{shell}: {line}"):
                    shown = _complete(shell, f"autosync-db {line}", tmp_path, nobody)
                    # zsh then completes files
                    assert shown.strip() in {"", "_files"}


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
