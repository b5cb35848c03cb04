"""`watch`."""

import importlib.util
import queue
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import Jobs, command
from autosync_db.errors import UsageError

if TYPE_CHECKING:
    from autosync_db.health.picture import Message
    from autosync_db.health.watching import Watcher

app = typer.Typer(add_completion=False)

_LEAST = timedelta(milliseconds=500)
# how long the first verdict is waited for, where --for is shorter
_PATIENCE_SECONDS = 100


@command(app, "watch")
def _watch(
    session: Session,
    job: Jobs = None,
    every: Annotated[
        str, typer.Option("--every", help="How often to look at jobs and calls.", metavar="DURATION")
    ] = "2s",
    period: Annotated[
        str | None, typer.Option("--for", help="End after this time, e.g. 10m; without it, with q.", metavar="DURATION")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print lines on a terminal, too.")] = False,
) -> None:
    """Show live, until you quit: the verdict, the jobs, the newest calls as they settle, and what is due.

    On a terminal a screen: arrows and enter show a call, r fires a job after asking, q quits. Elsewhere, with --plain
    or without the extra `watch`, a line for each call that settles and each change of the verdict; with --format json
    each line is JSON.
    """
    from autosync_db.health.watching import Watcher

    looks, ends = _duration("--every", every), _duration("--for", period) if period else None
    if looks < _LEAST:
        raise UsageError(f"--every {every} is too often", hint="the least is 500ms; 2s is the default")
    watcher = Watcher(session.configuration, job or (), every=looks)
    watcher.begin()
    try:
        if plain or session.is_json or not _has_screen(session):
            _print_lines(session, watcher, ends)
        else:
            _show(session, watcher, f"{looks.total_seconds():g} s", ends)
    except KeyboardInterrupt:
        pass  # how a watch ends
    finally:
        watcher.end()


def _duration(option: str, text: str) -> timedelta:
    from autosync_db.config import duration

    try:
        return duration.parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", hint=f"for example: {option} 10s") from None


def _has_screen(session: Session) -> bool:
    """Whether there is a terminal that a screen can be drawn on, and what draws it."""
    if not _is_terminal(session):
        return False
    if importlib.util.find_spec("textual") is None:
        session.say("lines, for the screen needs: pip install 'autosync-db[watch]'")
        return False
    return True


def _is_terminal(session: Session) -> bool:
    return session.can_ask and session.out.is_terminal and not session.out.is_dumb_terminal


def _show(session: Session, watcher: "Watcher", every: str, ends: timedelta | None) -> None:
    from autosync_db.report.watch.app import WatchApp, run

    target = session.configuration.target
    project = f"  project {target.project_ref}" if target.project_ref else ""
    screen = WatchApp(watcher, f"{target.name}  {watcher.place}{project}", every, ends)
    run(screen)
    for name in sorted(screen.firing):
        session.say(f"{name} was fired, and nothing is known of it yet; see: autosync-db runs")


def _print_lines(session: Session, watcher: "Watcher", ends: timedelta | None) -> None:
    from autosync_db.health.picture import Picture
    from autosync_db.report.watch import lines

    heard: queue.SimpleQueue[Message] = queue.SimpleQueue()
    watcher.start(heard.put)
    picture, until = Picture(), time.monotonic() + ends.total_seconds() if ends else None
    patience = time.monotonic() + _PATIENCE_SECONDS
    while True:
        now = time.monotonic()
        # whoever asks for a short time wants the verdict, too
        waits = picture.verified is None and picture.failed is None and picture.lost is None and now < patience
        if until is not None and now >= until and not waits:
            return
        try:
            message = heard.get(timeout=1 if until is None or waits else max(0.0, until - now))
        except queue.Empty:
            continue
        if isinstance(message, Exception):
            raise message
        for event in picture.take(message):
            try:
                sys.stdout.write((lines.as_line(event) if session.is_json else lines.text(event)) + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                return  # nobody reads any more
