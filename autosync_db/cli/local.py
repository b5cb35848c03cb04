"""`local ...`: the whole chain on this machine."""

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autosync_db.cli import completion
from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group
from autosync_db.errors import CheckFailedError, UsageError

if TYPE_CHECKING:
    from autosync_db.local.stack import Stack

app = group()

_FOLLOW_SECONDS = 0.3


@command(app, "up")
def _up(
    session: Session,
    engine: Annotated[
        Literal["system", "docker", "podman"] | None,
        typer.Option(
            help="What runs PostgreSQL: system (Debian packages), docker (or Podman if only that answers), podman."
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            help="Image with PostgreSQL and pg_cron, e.g. supabase/postgres:TAG, instead of the project's own."
        ),
    ] = None,
    key_kind: Annotated[
        Literal["legacy", "secret"] | None,
        typer.Option(help="Kind of service key to make [default: legacy]."),
    ] = None,
    functions: Annotated[
        Path | None,
        typer.Option(
            help="Folder of Edge Functions to serve instead of the shipped ones.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
) -> None:
    """Start a private PostgreSQL with pg_cron and pg_net, and the Edge Functions on Deno.

    Data is kept under .autosync; free ports are chosen. Use it with --target local.
    """
    if image is not None and engine == "system":
        raise UsageError(
            "the engine system does not run images", hint="use --engine docker or --engine podman with --image"
        )
    stack = _stack()
    with session.progress("starting the local stack") as say:
        stack.up(
            key_kind=key_kind,
            functions=functions,
            kind=engine or ("docker" if image else None),
            image=image,
            say=say,
        )
    _print(session, stack)
    session.say("next: autosync-db setup --target local")


@command(app, "down")
def _down(
    session: Session,
    purge: Annotated[bool, typer.Option("--purge", help="Delete the data, too.")] = False,
) -> None:
    """Stop everything that `local up` started."""
    with session.progress("stopping the local stack"):
        found = _stack().down(purge=purge)
    if not found:
        session.say("there is no local stack here")
    else:
        session.say("stopped" + (" and deleted" if purge else "; the data is kept"))


@command(app, "status")
def _status(session: Session) -> None:
    """Show what runs and where; exit 3 if something does not run."""
    stack = _stack()
    _print(session, stack)
    if not stack.is_running():
        raise CheckFailedError("the local stack is not running", hint="start it with: autosync-db local up")


@command(app, "logs")
def _logs(
    session: Session,
    name: Annotated[str, typer.Argument(help="postgres, pg_net or edge.", autocompletion=completion.logs)] = "edge",
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines to print.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as they are written.")] = False,
) -> None:
    """Print a log."""
    path = _stack().log(name)
    if not path.exists():
        raise UsageError(f"{name} has written no log yet", hint="see: autosync-db local status")
    with path.open(encoding="utf-8", errors="replace") as log:
        for line in deque(log, maxlen=lines):
            session.print_text(line)
        while follow:
            line = log.readline()
            if line:
                session.print_text(line)
            else:
                time.sleep(_FOLLOW_SECONDS)


@command(app, "tick")
def _tick(
    session: Session,
    every: Annotated[
        str | None, typer.Option(help="Tick again after this time, e.g. 60s, until interrupted.", metavar="DURATION")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many ticks.")] = None,
) -> None:
    """Do now what pg_cron does at its next tick, and show the result; use --target supabase for supabase start."""
    from autosync_db import config
    from autosync_db.config import duration
    from autosync_db.connection import connect
    from autosync_db.jobs import firing

    try:
        pause = duration.parse(every) if every else None
    except ValueError as error:
        raise UsageError(str(error), hint="for example: --every 60s") from None
    if session.target not in {None, config.LOCAL_TARGET, config.STACK_TARGET}:
        raise UsageError(
            f"{session.target} is not a stack on this machine", hint="run one tick with: autosync-db jobs trigger"
        )
    configuration = session.configuration if session.target else config.load(config.Flags(target=config.LOCAL_TARGET))
    remaining = count or (None if pause else 1)
    with connect(configuration.target.database_url) as connection:
        while remaining is None or remaining > 0:
            session.print_text(firing.tick(connection, configuration.settings.main))
            remaining = None if remaining is None else remaining - 1
            if pause and remaining != 0:
                time.sleep(pause.total_seconds())


@command(app, "demo")
def _demo(
    session: Session,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the stack running afterwards.")] = False,
) -> None:
    """Show the whole chain at work: up, setup, two schedules, a real pg_cron tick, verify. Exit 0 only if healthy."""
    stack = _stack()
    from autosync_db.cli.checklist import Checklist
    from autosync_db.local import demo
    from autosync_db.report import as_json

    checklist = Checklist(session, demo.STEPS)
    with checklist.open():
        report = demo.run(stack, keep=keep, reporter=checklist.reporter)
    onward = demo.onward(is_running=stack.is_running())
    if session.is_json:
        session.print_json({"steps": checklist.steps, "next": onward, "verify": as_json.report(report)})
    else:
        session.print_report(report)
        session.say_onward(onward)
    raise typer.Exit(report.exit_code())


def _stack() -> "Stack":
    from autosync_db import config
    from autosync_db.local import require

    require("psutil")
    from autosync_db.local.stack import Stack

    return Stack(config.local_folder())


def _print(session: Session, stack: "Stack") -> None:
    from autosync_db.report import as_text

    parts = stack.status()
    if session.is_json:
        session.print_json(parts)
    else:
        rows = [(part.name, "running" if part.running else "stopped", part.detail) for part in parts]
        as_text.table(("part", "state", "where"), rows, session.out)
