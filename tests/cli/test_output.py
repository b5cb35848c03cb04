"""What every command promises whatever it does: help, quick start, quiet, plain, and a reader that leaves."""

import ast
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer.main

from autosync_db.cli import app
from autosync_db.local.cluster import Cluster
from tests.cli.conftest import Project
from tests.support import clusters, command

# not pydantic: Typer itself imports it where it is installed
HEAVY = {"sqlalchemy", "alembic", "httpx", "psycopg", "pydantic_settings", "jinja2", "jwt", "tenacity"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def _commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, child in getattr(group, "commands", {}).items():
        yield from _commands(child, (*path, name))


COMMANDS = sorted(_commands(typer.main.get_command(app)))
LEAVES = [path for path in COMMANDS if path and not any(other[:-1] == path for other in COMMANDS)]


def test_the_commands_of_this_version_are_there() -> None:
    names = {" ".join(path) for path in LEAVES}
    assert {
        "init",
        "setup",
        "migrate",
        "rollback",
        "status",
        "verify",
        "explain",
        "runs",
        "scaffold function",
        "job show",
        "job pause",
        "job resume",
        "job trigger",
        "local up",
        "local down",
        "local status",
        "local logs",
        "local tick",
    } <= names


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_works_and_imports_nothing_heavy(path: tuple[str, ...]) -> None:
    probe = (
        "import runpy, sys\n"
        "sys.argv = ['autosync-db', *sys.argv[1:]]\n"
        "try:\n    runpy.run_module('autosync_db', run_name='__main__', alter_sys=False)\n"
        "finally:\n    print([name for name in sys.modules if '.' not in name], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *path, "--help"],
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout
    imported = set(ast.literal_eval(done.stderr.strip().splitlines()[-1]))
    assert "typer" in imported, "the probe sees what was imported"
    assert not imported & HEAVY


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_the_common_options(path: tuple[str, ...]) -> None:
    shown = command.succeeds(command.run(*path, "--help", variables={"COLUMNS": "200"})).out
    assert all(
        option in shown for option in ("--target", "--database-url", "--config", "--format", "--verbose", "--quiet")
    )


def test_version() -> None:
    from autosync_db import __version__

    assert command.succeeds(command.run("--version")).out == f"autosync-db {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("migrate", "--nonsense"),
        ("migrate", "head", "more"),
        ("runs", "-n", "0"),
        ("verify", "--format", "xml"),
    ],
)
def test_a_mistyped_command_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    result = command.run(*arguments)
    command.refused(result, 2)
    assert "--help" in result.hints[0]


def test_an_internal_error_is_a_bug_and_shows_its_traceback_only_when_asked(migrated: Cluster) -> None:
    # a table that no version of the toolkit could have made
    with clusters.connect(migrated) as connection:
        connection.execute("alter table autosync.tick rename column decision to decided")
    quiet = command.run("status", database=migrated.url())
    command.refused(quiet, 1)
    assert "-vv" in quiet.hints[0]
    loud = command.run("status", "-vv", database=migrated.url())
    assert loud.code == 1
    assert "Traceback" in loud.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("runs",),
        ("verify",),
        ("explain",),
        ("job", "show"),
        ("job", "trigger"),
        ("migrate",),
        ("migrate", "--dry-run"),
        ("migrate", "--check"),
        ("setup",),
    ],
    ids=" ".join,
)
def test_json_is_the_only_thing_on_stdout(project: Project, arguments: tuple[str, ...]) -> None:
    command.succeeds(project.setup())
    assert command.succeeds(project.run(*arguments, "--format", "json")).json() is not None


@pytest.mark.parametrize("arguments", [("verify",), ("migrate", "--check"), ("migrate", "--dry-run")], ids=" ".join)
def test_json_of_an_unhealthy_database_parses_too(blank: Cluster, arguments: tuple[str, ...]) -> None:
    result = command.run(*arguments, "--format", "json", database=blank.url())
    assert result.code in {0, 3, 5}
    assert result.json()


def test_quiet_leaves_data_alone_and_says_nothing_else(project: Project) -> None:
    command.succeeds(project.setup())
    for arguments in (("status",), ("verify",), ("runs",), ("job", "trigger"), ("migrate", "--sql")):
        result = command.succeeds(project.run(*arguments, "--quiet"))
        assert result.out
        assert result.err == ""
    for arguments in (("migrate",), ("job", "pause"), ("job", "resume")):
        result = command.succeeds(project.run(*arguments, "--quiet"))
        assert (result.out, result.err) == ("", "")


def _on_terminal(arguments: tuple[str, ...], environment: dict[str, str]) -> str:
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [*command.PROGRAM, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # how Linux says that the other end of a terminal is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    child.wait(timeout=30)
    return shown.decode()


@pytest.mark.parametrize("arguments", [("verify",), ("verify", "--help"), ("explain",), ("nonsense",)], ids=" ".join)
def test_no_color_is_honoured(shared: Cluster, arguments: tuple[str, ...]) -> None:
    terminal = {**command.environment(shared.url()), "TERM": "xterm-256color"}
    coloured = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3|4|9|10)[0-9][;m]")
    assert COLOUR.search(_on_terminal(arguments, terminal))
    assert not coloured.search(_on_terminal(arguments, {**terminal, "NO_COLOR": "1"}))


def test_a_file_gets_no_escape_sequences(shared: Cluster) -> None:
    for arguments in (("verify",), ("explain",), ("status",), ("--help",), ("nonsense",)):
        result = command.run(*arguments, database=shared.url())
        assert "\x1b" not in result.out + result.err


@pytest.mark.parametrize(
    "arguments",
    [("migrate", "--sql"), ("explain",), ("explain", "--format", "json"), ("--help",), ("verify", "-v")],
    ids=" ".join,
)
@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_reader_that_leaves_is_no_error(shared: Cluster, arguments: tuple[str, ...], unbuffered: bool) -> None:
    expected = command.run(*arguments, database=shared.url())
    reading, writing = os.pipe()
    os.close(reading)
    variables = {"PYTHONUNBUFFERED": "1"} if unbuffered else {}
    try:
        done = subprocess.run(
            [*command.PROGRAM, *arguments],
            env=command.environment(shared.url(), variables),
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.stderr == expected.err
    assert done.returncode in {0, expected.code}
