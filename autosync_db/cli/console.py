"""What a command sees of the outside: its settings, data on stdout, talk and progress on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from autosync_db.errors import UsageError
from autosync_db.secret import Secret

if TYPE_CHECKING:
    from autosync_db.config import Configuration


# whoever reads a pipe wants whole lines
PIPED_WIDTH = 1000


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


class Verbosity:
    """How much is said, for the one process this is; the error reporter reads it after a command has failed."""

    level = 0


class Ending:
    """What the process exits with when nobody reads its output any more; a command that writes says more than 0."""

    unread = 0


class Talk(Console):
    """Stderr. When nobody listens any more nothing is said, and the work goes on: it must not end half done."""

    def on_broken_pipe(self) -> None:
        """Say nothing from now on."""
        self.quiet = True
        # what is still buffered would be written, and complained about, when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Session:
    """One run of one command."""

    def __init__(
        self,
        *,
        target: str | None,
        database_url: str | None,
        config: Path | None,
        format: Format,
        verbose: int,
        quiet: bool,
    ) -> None:
        Verbosity.level = -1 if quiet else verbose
        Ending.unread = 0
        self._target, self._config = target, config
        self._database_url = Secret(database_url) if database_url else None
        self.format = format
        self.out = Console(highlight=False)
        if not self.out.is_terminal:
            self.out.width = PIPED_WIDTH
        self.err = Talk(stderr=True, highlight=False, quiet=quiet)

    @property
    def target(self) -> str | None:
        """The target that --target named."""
        return self._target

    @property
    def verbose(self) -> bool:
        """Whether -v was given."""
        return Verbosity.level > 0

    @property
    def is_json(self) -> bool:
        """Whether data is to be printed as JSON."""
        return self.format is Format.JSON

    @cached_property
    def configuration(self) -> "Configuration":
        """Return the settings in force; read when first asked for."""
        from autosync_db import config

        return config.load(config.Flags(self._database_url, self._target, self._config))

    def say(self, message: str) -> None:
        """Tell the user something on stderr; nothing with --quiet."""
        self.err.print(message, markup=False, soft_wrap=True)

    def print_json(self, value: Any) -> None:
        """Print `value` as JSON on stdout."""
        from autosync_db.report import as_json

        # not through Rich: it would fold long lines
        sys.stdout.write(as_json.dumps(value) + "\n")

    def print_text(self, text: str) -> None:
        """Print text on stdout as it is."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    @contextmanager
    def progress(self, message: str) -> Iterator[Callable[[str], None]]:
        """Show what is under way; the yielded function replaces the message. A log gets each new message once."""
        if self.err.is_terminal and not self.err.quiet:
            with self.err.status(message) as status:
                yield status.update
            return
        said: set[str] = set()

        def say_once(text: str) -> None:
            # counters in parentheses change several times a second
            kind = text.partition(" (")[0]
            if kind not in said:
                said.add(kind)
                self.say(text)

        yield say_once

    def confirm(self, question: str, *, flag: str, given: bool) -> None:
        """Return if the user agrees. Raises UsageError naming the flag where nobody can be asked."""
        if given:
            return
        if not sys.stdin.isatty():
            raise UsageError(question.rstrip("?") + ": confirmation is needed", hint=f"pass {flag}")
        import typer

        if not typer.confirm(question, err=True):
            raise UsageError("not confirmed; nothing was changed", hint=f"pass {flag} to skip the question")
