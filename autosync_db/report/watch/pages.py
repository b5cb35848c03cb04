"""What lies over the screen for a while: a page of text, and a question."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer, Static

Draw = Callable[[int], Text]


class Page(Screen[None]):
    """A page of text, drawn for the width that there is."""

    CSS = """
    #title { height: 1; text-style: bold; }
    #body { height: 1fr; scrollbar-size-vertical: 1; }
    #text { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "back"),
        Binding("enter", "app.pop_screen", show=False),
        Binding("q", "app.pop_screen", show=False),
    ]

    def __init__(self, title: str, draw: Draw) -> None:
        super().__init__()
        self._title, self._draw = title, draw

    def compose(self) -> ComposeResult:
        """Make the parts."""
        yield Static(Text(self._title), id="title")
        with VerticalScroll(id="body"):
            yield Static(id="text")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Draw it."""
        self.query_one("#body").focus()
        self.show(self._draw)

    def on_resize(self) -> None:
        """Draw it for the new width."""
        self.show(self._draw)

    def show(self, draw: Draw) -> None:
        """Show something else."""
        self._draw = draw
        if self.is_mounted:
            self.query_one("#text", Static).update(draw(max(20, self.app.size.width - 1)))


class Agreement(ModalScreen[bool]):
    """A question that only `y` agrees to."""

    CSS = """
    Agreement { align: center middle; }
    #asked { width: 70; max-width: 100%; height: auto; border: round ansi_default; padding: 0 1; }
    #question { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes, fire it"),
        Binding("n,escape,q,enter", "answer(False)", "no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Make the parts."""
        with Vertical(id="asked"):
            yield Static(Text(self._question), id="question")
            yield Static(Text("y: yes, fire it   n: no"))

    def action_answer(self, agreed: bool) -> None:
        """Give the answer."""
        self.dismiss(agreed)
