"""The real command line, run as a process of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
) -> Result:
    """Run `autosync-db ARGUMENTS` to its end in the current folder, or in `folder`."""
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


def run_here(
    *arguments: str,
    database: Secret | None = None,
    variables: Mapping[str, str] | None = None,
    stdin: str = "",
) -> Result:
    """Run `autosync-db ARGUMENTS` in this process: for many commands, where starting one takes longer than its work."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        for name, value in environment(database, variables).items():
            patch.setenv(name, value)
        try:
            cli.app(list(arguments))
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


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
