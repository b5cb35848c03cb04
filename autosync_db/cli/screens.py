"""Stdout and stderr as Rich writes on them; loaded where something is printed, for Rich takes a while to load."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console

from autosync_db.plain import printable

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment

# whoever reads a pipe wants whole lines
PIPED_WIDTH = 1000
_MARKS = {"done": ("✓", "*", "green"), "same": ("\N{EN DASH}", "=", "dim"), "failed": ("✗", "x", "bold red")}


class Screen(Console):
    """A console that strips control characters from what it prints, which comes from databases and servers."""

    def render(self, renderable: "RenderableType", options: "ConsoleOptions | None" = None) -> "Iterable[Segment]":
        """Return the pieces of what is printed, without control characters."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else piece._replace(text=printable(piece.text))


class Talk(Screen):
    """Stderr. When its reader has gone it stays silent, and the work goes on: it must not end half done."""

    def on_broken_pipe(self) -> None:
        """Stay silent from now on."""
        self.quiet = True
        # what is still buffered would be written, and complained about, when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def mark(state: str, console: Console) -> tuple[str, str]:
    """Return the sign of a step's end and its style: done, same (there was nothing to do) or failed."""
    sign, plain, style = _MARKS[state]
    return (sign if console.encoding.lower().startswith("utf") else plain), style


def out() -> Screen:
    """Return stdout."""
    made = Screen(highlight=False)
    if not made.is_terminal:
        made.width = PIPED_WIDTH
    return made
