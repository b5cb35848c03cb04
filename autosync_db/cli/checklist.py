"""A list of steps that are ticked off with their times: live on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer
from rich.console import Group
from rich.spinner import Spinner
from rich.text import Text

from autosync_db.cli.console import Session
from autosync_db.cli.screens import mark
from autosync_db.errors import StoppedError
from autosync_db.progress import Reporter, Step
from autosync_db.remedies import PROGRAM

if TYPE_CHECKING:
    from rich.console import RenderableType

# steps that only look: found well, there is nothing that they could have changed
LOOKING = frozenset({"database", "function", "key", "verify", "stack", "tick"})
_NOTES = {"warning": ("!", "yellow"), "next": (">", "bold cyan")}


@dataclass(frozen=True, slots=True)
class TimedStep:
    """A step as the result shows it, with the seconds that it took."""

    name: str
    result: str
    changed: bool
    seconds: float


class Checklist:
    """The steps of one run; `names` are those that are to come, in their order."""

    def __init__(self, session: Session, names: Sequence[str], at: Callable[[str], str] | None = None) -> None:
        self.steps: list[TimedStep] = []
        self.pending = list(names)
        self.current: str | None = None
        self._session = session
        self._at = at or (lambda text: text)
        self._under_way = ""
        self._began = time.monotonic()
        self._said: set[str] = set()
        self._turning = Spinner("dots")

    @property
    def reporter(self) -> Reporter:
        """Return where the work reports."""
        return Reporter(self.done, self.doing, self.begins)

    @property
    def ended(self) -> list[str]:
        """Return the announced steps that are done, each once."""
        found = dict.fromkeys(step.name for step in self.steps)
        return [name for name in found if name != self.current and name not in {*_NOTES, *self.pending}]

    def begins(self, name: str) -> None:
        """Take note of the step that is under way now."""
        self.current, self._under_way, self._began = name, "", time.monotonic()
        if name in self.pending:
            self.pending.remove(name)

    def doing(self, text: str) -> None:
        """Show what is under way. A log gets each new message once."""
        self._under_way = text
        if not self._is_live:
            self._session.say_new(f"  {text}", self._said)

    def done(self, step: Step) -> None:
        """Tick a step off. One name may come several times."""
        now = time.monotonic()
        timed = TimedStep(step.name, self._at(step.result), step.changed, round(now - self._began, 2))
        self._began = now
        self._under_way = ""
        self.steps.append(timed)
        if not self._session.is_json:
            is_done = step.changed or step.name in LOOKING
            state = "done" if is_done and step.is_good else "same" if step.is_good else "failed"
            self._print(state, step.name, timed.seconds, timed.result)

    def failed(self, what: str) -> None:
        """Say which step was not done, and which were not begun."""
        seconds = round(time.monotonic() - self._began, 2)
        if self.current is not None:
            self.steps.append(TimedStep(self.current, what, False, seconds))
        if not self._session.is_json and self.current is not None:
            self._print("failed", self.current, seconds, what)
            if self.pending:
                self._session.say(f"  not begun: {', '.join(self.pending)}")

    @contextmanager
    def open(self) -> Iterator["Checklist"]:
        """Show the list while the block works; how it ends is said before what ended it."""
        if not self._is_live:
            with self._said_how_it_ends():
                yield self
            return
        from rich.live import Live

        live = Live(self, console=self._session.err, transient=True)
        # how it ends is said where the live part was
        with self._said_how_it_ends(), live, self._session.paused_for_questions(live):
            yield self

    @contextmanager
    def _said_how_it_ends(self) -> Iterator[None]:
        try:
            yield
        except (KeyboardInterrupt, typer.Abort, StoppedError):
            self.failed("interrupted")
            raise
        except Exception:
            self.failed("failed")
            raise

    @property
    def _is_live(self) -> bool:
        return self._session.err.is_terminal and not self._session.err.quiet

    def _print(self, state: str, name: str, seconds: float, result: str) -> None:
        sign, style = _NOTES.get(name) or mark(state, self._session.err)
        lead = Text.assemble((sign, style), f" {name:<9} ", (f"{seconds:5.1f} s", "dim"), "  ")
        if self._is_live and PROGRAM not in result:
            from rich.table import Table

            grid = Table.grid()
            grid.add_column(no_wrap=True)
            grid.add_row(lead, Text(result))
            self._session.err.print(grid)
        else:
            # a log gets a line, and a command is pasted as it is
            self._session.err.print(lead + Text(result), soft_wrap=True)

    def __rich__(self) -> "RenderableType":
        lines: list[RenderableType] = []
        seconds = time.monotonic() - self._began
        if self.current is not None or self._under_way:
            shown = f"{self.current or '':<9} {seconds:5.1f} s  {self._under_way}"
            # a line that wraps would be drawn again below itself
            self._turning.update(text=Text(shown, no_wrap=True, overflow="ellipsis"))
            lines.append(self._turning)
        lines += [Text(f"  {name}", style="dim") for name in self.pending]
        return Group(*lines)
