"""Questions on a terminal: nothing is drawn over them."""

import ast
import re
import sys
from pathlib import Path

import pexpect
import pytest

from autosync_db import cli
from autosync_db.secret import Secret
from tests.cli.conftest import Listener
from tests.support import command

# a real terminal, on which progress is a spinner
TERMINAL = {"TERM": "xterm-256color"}
SPINNER = "[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]"
DRAWN_OVER = [SPINNER, "\x1b\\[2K", "\r[^\n]"]
PROBE = """
from autosync_db.cli.console import Format, Session
session = Session(
    target=None, database_url=None, config=None, format=Format.TABLE, timeout=None, verbose=0, quiet=False
)
with session.progress("working"):
    {question}
    print("answered", flush=True)
    import time
    time.sleep(0.5)
"""


def _spawn(program: str, *arguments: str, database: Secret | None = None) -> "pexpect.spawn[str]":
    environment = command.environment(database, TERMINAL)
    return pexpect.spawn(program, [*arguments], env=environment, encoding="utf-8", timeout=60)


def test_rotate_asks_before_it_contacts_anything(listener: Listener) -> None:
    program, *arguments = [*command.PROGRAM, "rotate"]
    with _spawn(program, *arguments, database=listener.database) as terminal:
        terminal.expect_exact("New service key: ")
        assert not re.search(SPINNER, terminal.before or "")
        # whatever comes within a second would be drawn over the question
        assert terminal.expect([pexpect.TIMEOUT, *DRAWN_OVER], timeout=1) == 0, terminal.after
        terminal.sendline("short")
        terminal.expect_exact("error:")
        terminal.expect(pexpect.EOF)
    assert not listener.was_called


def test_setup_asks_for_no_key_where_no_database_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program, *arguments = [*command.PROGRAM, "setup", "--project-url", "http://127.0.0.1:1"]
    with _spawn(program, *arguments) as terminal:
        assert terminal.expect_exact(["no database was named", "key"]) == 0
        terminal.expect(pexpect.EOF)


# one stands for the others on a push: each is watched for a second
@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ('session.ask("Its value", hidden=True)', "Its value: "),
        pytest.param('session.ask("Which one")', "Which one: ", marks=pytest.mark.long),
        pytest.param(
            'session.confirm("Really?", flag="--yes", given=False)', "Really? [y/N]: ", marks=pytest.mark.long
        ),
    ],
)
def test_a_spinner_pauses_while_a_question_waits(question: str, shown: str) -> None:
    with _spawn(sys.executable, "-c", PROBE.format(question=question)) as terminal:
        terminal.expect(SPINNER)
        terminal.expect_exact(shown)
        assert terminal.expect([pexpect.TIMEOUT, *DRAWN_OVER], timeout=1) == 0, terminal.after
        terminal.sendline("y")
        terminal.expect_exact("answered")
        terminal.expect(SPINNER)


def test_every_question_is_asked_by_the_session() -> None:
    for path in Path(cli.__path__[0]).glob("*.py"):
        called = {
            ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        }
        if path.name != "console.py":
            assert not called & {"typer.prompt", "typer.confirm", "input", "getpass.getpass", "sys.stdin.isatty"}, path
