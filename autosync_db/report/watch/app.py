"""The screen of `watch`: it draws what the watcher sees, and asks it for what a key stands for."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, Protocol

from rich.segment import Segment
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.driver import Driver
from textual.filter import LineFilter
from textual.message import Message as Telling
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from autosync_db.health.picture import Failure, Fired, Found, Message, Picture
from autosync_db.plain import clean
from autosync_db.report.watch import view
from autosync_db.report.watch.pages import Agreement, Page
from autosync_db.report.watch.words import BAD, GOOD

HELP = """arrows       choose a job or a call; they go from the jobs on to the calls
enter        all that is known of it; escape goes back
tab          from the jobs to the calls, and back
r            fire the job that is chosen, or that of the call, after a question
v            the whole verdict, as verify -v prints it
n            verify now, though not more often than every ten seconds
q, ctrl+c    quit"""


class Source(Protocol):
    """What the screen needs of the watcher."""

    def now(self) -> datetime:
        """Return the time on the server's clock."""

    def start(self, tell: Callable[[Message], None]) -> None:
        """Begin to tell."""

    def ask(self, id: int, answer: Callable[[Found | Failure], None]) -> None:
        """Find a call."""

    def fire(self, name: str, say: Callable[[str], None], done: Callable[[Fired], None]) -> None:
        """Run a job now."""

    def verify_soon(self) -> None:
        """Verify again."""


class Lines(OptionList):
    """Lines of which one is chosen. At its ends the arrows go on to the list before or after."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "details"),
        Binding("tab", "app.focus_next", "jobs/calls"),
    ]

    def __init__(self, id: str) -> None:
        super().__init__(id=id, markup=False)
        self.keys: list[str] = []

    @property
    def chosen(self) -> str | None:
        """Return the key of the chosen line."""
        return self.keys[self.highlighted] if self.highlighted is not None and self.keys else None

    def show(self, lines: list[tuple[str, Text]], *, follow: bool = False) -> None:
        """Show these lines; the chosen one stays so. With `follow` the first stays chosen, whatever comes before it."""
        chosen, place = self.chosen, self.highlighted
        keys = [key for key, _ in lines]
        if keys == self.keys:
            for number, (_, line) in enumerate(lines):
                self.replace_option_prompt_at_index(number, line)
            return
        self.keys = keys
        self.set_options(Option(line) for _, line in lines)
        if not keys:
            return
        if chosen in keys and not (follow and place == 0):
            self.highlighted = keys.index(chosen)
        else:
            self.highlighted = min(place or 0, len(keys) - 1) if not follow else 0

    def action_cursor_up(self) -> None:
        """Go up, and from the first line to the list before."""
        if self.highlighted in {None, 0}:
            self._go_on(-1)
        else:
            super().action_cursor_up()

    def action_cursor_down(self) -> None:
        """Go down, and from the last line to the list after."""
        if self.highlighted is None or self.highlighted == len(self.keys) - 1:
            self._go_on(1)
        else:
            super().action_cursor_down()

    def _go_on(self, step: int) -> None:
        lists = list(self.screen.query(Lines))
        place = lists.index(self) + step
        if 0 <= place < len(lists) and lists[place].keys:
            lists[place].highlighted = 0 if step > 0 else len(lists[place].keys) - 1
            lists[place].focus()


class Heard(Telling):
    """Something that another thread says."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self.act = act


class Uncoloured(LineFilter):
    """Leaves bold, dim and underlined."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return segments without any colour."""
        return [Segment(text, style.without_color if style else None, control) for text, style, control in segments]


class WatchApp(App[None]):
    """The screen. `trouble` is what ended it, where that was no wish of the user's."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #header, #schedules, #said { height: 1; }
    #causes { height: auto; }
    .heading { height: 1; text-style: bold; }
    OptionList { border: none; padding: 0; scrollbar-size-vertical: 1; }
    OptionList:focus { border: none; }
    OptionList > .option-list--option { padding: 0; }
    OptionList > .option-list--option-highlighted { color: ansi_default; background: ansi_default; text-style: none; }
    OptionList:focus > .option-list--option-highlighted {
        color: ansi_black; background: ansi_white; text-style: bold underline;
    }
    #jobs { height: auto; }
    #calls { height: 1fr; }
    #empty { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "fire", "fire"),
        Binding("v", "verdict", "verdict"),
        Binding("n", "verify", "verify now"),
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(self, source: Source, subject: str, every: str, ends: timedelta | None = None) -> None:
        # the terminal's own colours, on its own background; with NO_COLOR none: what filters them is chosen here
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self._source, self._subject, self._every, self._ends = source, subject, every, ends
        self.picture = Picture()
        self.trouble: Exception | None = None
        self.firing: set[str] = set()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what becomes of colours; textual's own filter for NO_COLOR still names the terminal's."""
        return [*super().get_line_filters(), *([Uncoloured()] if self.no_color else [])]

    def get_driver_class(self) -> type[Driver]:
        """Return what draws on this terminal, and leaves nothing of the last frame there."""
        chosen = super().get_driver_class()

        class Leaving(chosen):  # type: ignore[misc, valid-type]
            def stop_application_mode(self) -> None:
                # tmux mixes lines of the frame into what was there before, where the pane grew meanwhile
                self.write("\x1b[2J\x1b[H")
                super().stop_application_mode()

        return Leaving

    def compose(self) -> ComposeResult:
        """Make the parts, from top to bottom."""
        yield Static(id="header")
        yield Static(id="causes")
        yield Static(id="jobs-heading", classes="heading")
        yield Lines("jobs")
        yield Static(id="calls-heading", classes="heading")
        yield Static(id="empty")
        yield Lines("calls")
        yield Static(id="schedules")
        yield Static(id="said")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin to watch."""
        self._say(Text(f"looks every {self._every}; verifies every 60 s, and when outcomes change", style=view.OLD))
        self.query_one("#calls").focus()
        with suppress(NotImplementedError, RuntimeError, ValueError):  # only a main thread has signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
        self.set_interval(1, self.draw)
        if self._ends:
            self.set_timer(self._ends.total_seconds(), self.exit)
        self._source.start(lambda message: self._hear(partial(self.take, message)))
        self.draw()

    def _hear(self, act: Callable[[], None]) -> None:
        """Let something be done in the thread of the screen; after its end nothing is."""
        with suppress(RuntimeError):  # its loop is closed
            self.post_message(Heard(act))

    def on_heard(self, heard: Heard) -> None:
        """Do it."""
        heard.act()

    def take(self, message: Message) -> None:
        """Take in what the watcher says."""
        if isinstance(message, Exception):
            self.trouble = message
            self.exit()
            return
        self.picture.take(message)
        self.draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether a key means something now: over a page only those of the page do."""
        return action not in {"fire", "verdict", "verify", "help"} or len(self.screen_stack) == 1

    def on_resize(self) -> None:
        """Draw for the new size, once the parts have it."""
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Draw everything for now."""
        main, now = self.screen_stack[0], self._source.now()
        if not main.query("#said"):
            return  # not there yet, or not any more
        width, height = self.size
        picture = self.picture
        main.query_one("#header", Static).update(view.header(picture, self._subject, now, width))
        found = view.causes(picture, width, max(3, height // 4))
        causes = main.query_one("#causes", Static)
        causes.update(Text("\n").join(found))
        causes.display = bool(found)
        # one column is the scrollbar's
        heading, lines = view.jobs(picture, now, width - 1)
        main.query_one("#jobs-heading", Static).update(Text(heading))
        jobs = main.query_one("#jobs", Lines)
        jobs.styles.max_height = max(3, height // 4)
        jobs.show(lines)
        heading, lines = view.calls(picture, now, width - 1)
        main.query_one("#calls-heading", Static).update(Text(heading))
        main.query_one("#calls", Lines).show(lines, follow=True)
        empty = main.query_one("#empty", Static)
        empty.display = not lines
        empty.update(Text(view.empty(picture) if picture.look else "looking for the first time"))
        main.query_one("#schedules", Static).update(view.schedules(picture, now, width))

    def _say(self, text: Text) -> None:
        self.screen_stack[0].query_one("#said", Static).update(text)

    def _chosen_job(self) -> str | None:
        """Return the job that is chosen, or whose call is."""
        look = self.picture.look
        calls = self.query_one("#calls", Lines)
        if look and calls.has_focus and calls.chosen:
            return next((call.job for call in look.calls if str(call.id) == calls.chosen), None)
        return self.query_one("#jobs", Lines).chosen

    def on_option_list_option_selected(self) -> None:
        """Show all that is known of the chosen line."""
        look = self.picture.look
        if look is None:
            return
        if (calls := self.query_one("#calls", Lines)).has_focus and calls.chosen:
            self._open_call(int(calls.chosen))
        elif job := self._chosen_job():
            one = next(one for one in look.jobs if one.job.name == job)
            now = self._source.now()
            self.push_screen(Page(f"job {clean(job)}", partial(view.job_page, one, look.coming.get(job), now)))

    def _open_call(self, id: int) -> None:
        page = Page(f"call {id}", lambda _: Text("asking the database"))

        def answered(found: Found | Failure) -> None:
            if isinstance(found, Found):
                page.show(partial(view.call_page, found, self._source.now()))
            else:
                page.show(lambda _: Text(clean(f"cannot say: {found.message}")))

        self.push_screen(page)
        self._source.ask(id, lambda found: self._hear(partial(answered, found)))

    def action_verdict(self) -> None:
        """Show the whole verdict."""
        self.push_screen(Page("verdict", partial(view.verdict_page, self.picture)))

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(Page("keys", lambda _: Text(HELP)))

    def action_verify(self) -> None:
        """Verify again."""
        self._source.verify_soon()
        self._say(Text("verifying", style=view.OLD))

    def action_fire(self) -> None:
        """Ask whether the chosen job is to run now, and let it."""
        name, look = self._chosen_job(), self.picture.look
        if name is None or look is None:
            return
        if name in self.firing:
            self._say(Text(f"{clean(name)} is being fired already"))
            return
        one = next(one for one in look.jobs if one.job.name == name)
        waiting = any(call.job == name and call.settled_at is None and call.cause == "pending" for call in look.calls)

        def decided(agreed: bool | None) -> None:
            if agreed:
                self._fire(name)
            else:
                self._say(Text(f"{clean(name)} was not fired", style=view.OLD))

        self.push_screen(Agreement(view.question(one, waiting=waiting)), decided)

    def _fire(self, name: str) -> None:
        self.firing.add(name)
        shown = clean(name)
        self._say(Text(f"{shown} is being fired"))
        self._source.fire(
            name,
            lambda text: self._hear(lambda: self._say(Text(f"{shown}: {clean(text)}"))),
            lambda result: self._hear(partial(self._fired, result)),
        )

    def _fired(self, result: Fired) -> None:
        self.firing.discard(result.job)
        word, style = ("ok", GOOD) if result.succeeded else ("failed", BAD)
        at = f"{self._source.now():%H:%M:%S}"
        hint = f"; {clean(result.hint)}" if result.hint else ""
        self._say(Text.assemble(f"{at} {clean(result.job)} fired: ", (word, style), f", {clean(result.text)}{hint}"))

    def _handle_exception(self, error: Exception) -> None:
        """End with the error, which the command reports as it reports every bug; Textual would print all variables."""
        self.trouble = self.trouble or error
        self.exit()

    async def action_quit(self) -> None:
        """Leave."""
        self.exit()


def run(app: WatchApp) -> None:
    """Show the screen until the user leaves. Raises what ended it otherwise."""
    app.run()
    if app.trouble:
        raise app.trouble
