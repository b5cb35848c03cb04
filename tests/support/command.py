"""The real command line: in this process, which takes a fraction of the time, or in one of its own."""

import contextlib
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from autosync_db import cli
from autosync_db.secret import Secret

PROGRAM = (sys.executable, "-m", "autosync_db")
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """Return the text of every `error:` line."""
        return self._marked("error: ")

    @property
    def hints(self) -> list[str]:
        """Return the text of every `hint:` line."""
        return self._marked("hint: ")

    @property
    def ticked(self) -> list[str]:
        """Return the steps that say they did something, or found well what they looked at."""
        return re.findall(r"^✓ (\w+)", self.err, re.MULTILINE)

    def json(self) -> Any:
        """Return stdout as JSON."""
        return json.loads(self.out)

    def _marked(self, mark: str) -> list[str]:
        return [line.removeprefix(mark) for line in self.err.splitlines() if line.startswith(mark)]


def environment(database: Secret | None = None, variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of a command: what programs need, the database, and `variables`."""
    chosen = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    if database is not None:
        # by environment, because a password on the command line is visible to every user
        chosen["AUTOSYNC_DATABASE_URL"] = database.reveal()
    return chosen | dict(variables or {})


def run(
    *arguments: str,
    database: Secret | None = None,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    folder: Path | None = None,
    terminal: tuple[int, int] | None = None,
) -> Result:
    """Run `autosync-db ARGUMENTS` to its end in this process, in the current folder or in `folder`.

    With `terminal`, its columns and lines, what it writes goes to a terminal of that size, with colours.

    As a process of its own, it finds no other variables than those of `environment`, its own three streams, and 80
    columns. What only a process shows, such as signals, pipes, imports and leaks, is for `run_process`.
    """
    assert threading.current_thread() is threading.main_thread(), "threads share streams: command.run_process"
    streams = {"stdin": _Stream(stdin), "stdout": _Stream(), "stderr": _Stream()}
    size = {"COLUMNS": "80"}
    if terminal is not None:
        size = {"COLUMNS": str(terminal[0]), "LINES": str(terminal[1]), "TERM": "xterm-256color"}
        streams["stdout"].is_terminal = streams["stderr"].is_terminal = True
    code = 0
    with (
        contextlib.chdir(folder or "."),
        _only(size | environment(database, variables)),
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, stream in streams.items():
            patch.setattr(sys, name, stream)
        # pytest's handlers would keep from stderr what libraries warn of
        patch.setattr(logging.getLogger(), "handlers", [])
        try:
            cli.app(list(arguments), prog_name="autosync-db")
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    out, err = (streams[name].buffer.getvalue().decode() for name in ("stdout", "stderr"))
    return Result(code, out, err)


class _Stream(io.TextIOWrapper):
    """A standard stream in memory."""

    buffer: io.BytesIO
    is_terminal = False

    def isatty(self) -> bool:
        """Whether it says that it is a terminal."""
        return self.is_terminal

    def __init__(self, text: str = "") -> None:
        super().__init__(io.BytesIO(text.encode()), encoding="utf-8", write_through=True)


@contextlib.contextmanager
def _only(variables: Mapping[str, str]) -> Iterator[None]:
    """Let the environment of this process, which libpq reads too, be `variables` and no more."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(variables)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_process(
    *arguments: str,
    database: Secret | None = None,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
    folder: Path | None = None,
) -> Result:
    """Run `autosync-db ARGUMENTS` to its end as a process of its own, in the current folder or in `folder`."""
    done = subprocess.run(
        [*PROGRAM, *arguments],
        env=environment(database, variables),
        input=stdin,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def paths() -> list[tuple[str, ...]]:
    """Return every command and group as it is typed, the root first."""

    def below(found: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        for name, inner in getattr(found, "commands", {}).items():
            yield from below(getattr(inner, "loaded", inner), (*path, name))

    return list(below(typer.main.get_command(cli.app), ()))


def leaves() -> list[tuple[str, ...]]:
    """Return every command that does something, without the groups."""
    known = paths()
    return [path for path in known if not any(other[: len(path)] == path and other != path for other in known)]


def succeeds(result: Result) -> Result:
    """Return the result of a command that must have exited 0."""
    assert result.code == 0, f"exit {result.code}\n{result.out}\n{result.err}"
    assert not result.errors, result.err
    return result


def refused(result: Result, code: int) -> str:
    """Return the message of a command that must have failed in the one way in which failures are reported.

    That is: exit code `code`, nothing on stdout, one `error:` line, then one `hint:` line, no traceback.
    """
    seen = f"exit {result.code}\n{result.out}\n{result.err}"
    assert result.code == code, seen
    assert len(result.errors) == 1, seen
    assert len(result.hints) == 1, seen
    assert result.hints[0], seen
    assert result.err.splitlines()[-2:] == [f"error: {result.errors[0]}", f"hint: {result.hints[0]}"], seen
    assert "Traceback" not in result.err, seen
    assert result.out == "", seen
    return result.errors[0]
