"""What a command works with: its settings, data on stdout, messages, progress and questions on stderr."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from autosync_db.cli.ending import Run
from autosync_db.errors import UsageError
from autosync_db.patience import Timeout
from autosync_db.plain import printable
from autosync_db.secret import Secret

if TYPE_CHECKING:
    from rich.live import Live
    from rich.status import Status

    from autosync_db.cli.screens import Screen, Talk
    from autosync_db.config import Configuration, Flags
    from autosync_db.connection import Connection
    from autosync_db.health.model import Report
    from autosync_db.health.place import Place
    from autosync_db.jobs.binding import Inherited
    from autosync_db.progress import Onward, Step


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"


def _seconds(timeout: str) -> float:
    """Return what --timeout means. Raises UsageError where it is no duration."""
    from autosync_db.config import duration

    try:
        return duration.parse(timeout).total_seconds()
    except ValueError as error:
        raise UsageError(f"--timeout {error}", hint="write it like 30s or 10m") from None


class Session:
    """One run of one command."""

    def __init__(
        self,
        *,
        target: str | None,
        database_url: str | None,
        config: Path | None,
        format: Format,
        timeout: str | None,
        verbose: int,
        quiet: bool,
    ) -> None:
        Run.verbosity = -1 if quiet else verbose
        Timeout.seconds = _seconds(timeout) if timeout is not None else None
        self._spinner: Status | Live | None = None
        self._target, self._config = target, config
        self._database_url = Secret(database_url.strip()) if database_url else None
        self.format = format
        self._is_quiet = quiet
        self.place: Place | None = None

    @cached_property
    def out(self) -> "Screen":
        """Stdout."""
        from autosync_db.cli import screens

        return screens.out()

    @cached_property
    def err(self) -> "Talk":
        """Stderr."""
        from autosync_db.cli.screens import Talk

        return Talk(stderr=True, highlight=False, quiet=self._is_quiet)

    @property
    def flags(self) -> "Flags":
        """What the command line said of the settings."""
        from autosync_db.config import Flags

        return Flags(self._database_url, self._target, self._config)

    @property
    def target(self) -> str | None:
        """The target that --target named."""
        return self._target

    @property
    def verbose(self) -> bool:
        """Whether -v was given."""
        return Run.verbosity > 0

    @property
    def is_json(self) -> bool:
        """Whether data is to be printed as JSON."""
        return self.format is Format.JSON

    @cached_property
    def configuration(self) -> "Configuration":
        """Return the settings; they are read at the first use."""
        from autosync_db import config

        found = config.load(self.flags)
        Run.aim = found.aim
        return found

    def say(self, message: str) -> None:
        """Print a message on stderr, whose commands can be pasted; nothing with --quiet."""
        text = Run.aim.at(message)
        if sys.stderr.isatty():
            from autosync_db.report import lines

            lines.say(text, self.err)
        elif not self._is_quiet:
            # a log gets it in one line, for which Rich need not be loaded
            sys.stderr.write(printable(text) + "\n")

    def look(self, connection: "Connection") -> datetime:
        """Remember which database the screen speaks of; return the time of its clock, to which ages are relative."""
        from autosync_db.health import place

        self.place = place.look(connection, self.configuration.target)
        return self.place.at

    def head(self, *, of_rows: bool = False) -> None:
        """Say which database the screen speaks of; of rows that go into a pipe that is said on stderr."""
        from autosync_db.report import lines

        assert self.place, "nobody has looked"
        is_data = self.out.is_terminal or not of_rows
        lines.pieces(self.place.pieces, self.out if is_data else self.err)

    def nothing(self, what: str, *, next: str) -> None:
        """Print a screen that has nothing to show: which database it speaks of, that, and the command that is next."""
        from autosync_db.report import lines

        if self.place:
            lines.pieces(self.place.pieces, self.err)
        self.say(what)
        self.say(f"next: {next}")

    def say_copy(self, connection: "Connection") -> "Inherited | None":
        """Say so, and what is next, where the database is the copy of another project's; return what it is."""
        from autosync_db.jobs import binding

        found = binding.inherited(connection, self.configuration.target)
        if found:
            self.say(f"this database is {found.sentence}; to let it make its own calls: {found.next}")
        return found

    def say_done(self, step: "Step") -> None:
        """Print a finished step on stderr; nothing when the result is printed as JSON, which holds the steps."""
        if not self.is_json:
            from rich.text import Text

            from autosync_db.cli.screens import mark

            sign, style = mark("done" if step.changed else "same", self.err)
            line = Text.assemble((sign, style), f" {step.name:<8} {Run.aim.at(step.result)}")
            self.err.print(line, soft_wrap=True)

    def say_onward(self, onward: "Sequence[Onward]") -> None:
        """Say what to look at next, a command in each line; nothing with --quiet."""
        from rich.text import Text

        lines = [(Run.aim.at(one.command), f"  {one.why}") for one in onward]
        width = max((len(command) for command, _ in lines), default=0)
        for number, (command, why) in enumerate(lines):
            lead = "next  " if number == 0 else "      "
            # a command that fills the line says enough by itself
            why = why if len(lead) + width + len(why) <= self.err.width or not self.err.is_terminal else ""
            self.err.print(Text.assemble((lead, "bold cyan"), f"{command:<{width}}", (why, "dim")), soft_wrap=True)

    def say_unapplied(self, connection: "Connection") -> None:
        """Say what the settings say and the database does not have, before a command works with the latter."""
        from autosync_db.health.status import not_applied
        from autosync_db.jobs import plan

        if found := plan.unapplied(connection, self.configuration.settings):
            source = self.configuration.source
            self.say(f"{source.name if source else 'the settings'}: {not_applied(found)}")

    def print_json(self, value: Any, *, mask: bool = True) -> None:
        """Print `value` as JSON on stdout, without what has the form of a secret unless it is our own text."""
        from autosync_db.report import as_json

        # JSON is read as UTF-8, whatever the locale of the terminal is
        is_utf = sys.stdout.encoding.lower().startswith("utf")
        # not through Rich: it would fold long lines
        sys.stdout.write(as_json.dumps(value, ascii=not is_utf, mask=mask) + "\n")

    def print_text(self, text: str) -> None:
        """Print text on stdout as it is."""
        sys.stdout.write(text if text.endswith("\n") else text + "\n")

    def save(self, path: Path, text: str, *, hint: str = "check the path and its permissions") -> None:
        """Write text into a file, whole or not at all, or into a device or pipe. Raises UsageError where it cannot."""
        from autosync_db.supabase import whole_file

        try:
            whole_file.write(path, text if text.endswith("\n") else text + "\n", replace=True)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}", hint=hint) from error

    def print_report(self, report: "Report") -> None:
        """Print a health report on stdout."""
        from autosync_db.report import as_json, as_text

        if self.is_json:
            self.print_json(as_json.report(report))
        else:
            as_text.report(report, self.out, show_all=self.verbose, place=self.place)

    @contextmanager
    def progress(self, message: str) -> Iterator[Callable[[str], None]]:
        """Show what is under way; the yielded function replaces the message. A log gets each new message once."""
        # where no terminal shows it, Rich need not be loaded before the work begins
        if sys.stderr.isatty() and self.err.is_terminal and not self.err.quiet:
            from rich.text import Text

            with self.err.status(Text(message)) as status, self.paused_for_questions(status):
                yield lambda text: status.update(Text(text))
            return
        said: set[str] = set()
        yield lambda text: self.say_new(text, said)

    def say_new(self, text: str, said: set[str]) -> None:
        """Print a message on stderr unless it was `said` but for its counters, and add it to that."""
        # counters in parentheses change several times a second
        kind = text.partition(" (")[0]
        if kind not in said:
            said.add(kind)
            self.say(text)

    @contextmanager
    def paused_for_questions(self, shown: "Status | Live") -> Iterator[None]:
        """Let what is drawn on the terminal pause while a question waits."""
        self._spinner = shown
        try:
            yield
        finally:
            self._spinner = None

    @property
    def can_ask(self) -> bool:
        """Whether somebody sits at a terminal."""
        return sys.stdin.isatty()

    def ask(self, question: str, *, default: str | None = None, hidden: bool = False) -> str:
        """Return the answer to a question on the terminal; without a default it is asked until there is one."""
        with self._no_spinner():
            answer = typer.prompt(question, default=default, hide_input=hidden, show_default=False, err=True)
        return str(answer).strip()

    def agrees(self, question: str) -> bool:
        """Return whether the user at the terminal agrees."""
        with self._no_spinner():
            return typer.confirm(question, err=True)

    def confirm(self, question: str, *, flag: str, given: bool) -> None:
        """Return if the user agrees. Raises UsageError naming the flag where nobody can be asked."""
        if given:
            return
        if not self.can_ask:
            raise UsageError(question.rstrip("?") + ": confirmation is needed", hint=f"pass {flag}")
        if not self.agrees(question):
            raise UsageError("not confirmed; nothing was changed", hint=f"pass {flag} to skip the question")

    @contextmanager
    def _no_spinner(self) -> Iterator[None]:
        # it would be drawn over the question
        if self._spinner is not None:
            self._spinner.stop()
        try:
            yield
        finally:
            if self._spinner is not None:
                self._spinner.start()
