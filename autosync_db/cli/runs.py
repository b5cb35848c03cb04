"""`runs`: the calls and their outcome."""

import re
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import completion
from autosync_db.cli.console import Session
from autosync_db.cli.options import Jobs, command
from autosync_db.errors import UsageError, unknown

if TYPE_CHECKING:
    from autosync_db.connection import Connection
    from autosync_db.jobs.one_call import Call, Line

app = typer.Typer(add_completion=False)

_SHOW = "show"


@command(app, "runs")
def _runs(
    session: Session,
    show: Annotated[
        list[str] | None,
        typer.Argument(
            help="Show one call; ID is its number in the list, or the beginning of its idempotency key.",
            metavar="show ID",
            autocompletion=completion.calls,
        ),
    ] = None,
    job: Jobs = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many calls to show.")] = 20,
    log: Annotated[
        bool,
        typer.Option("--log", help="With `show`: the call's lines of the project's log; needs SUPABASE_ACCESS_TOKEN."),
    ] = False,
) -> None:
    """List the newest calls with their real outcome, newest first.

    `runs show ID` shows one call: its answer, its ids, its times and where its log is.
    """
    if show:
        if len(show) == 1 and show[0] != _SHOW and re.fullmatch(r"[0-9a-f-]+", show[0]):
            raise UsageError(f"{show[0]!r} is no command of runs", hint=f"one call: autosync-db runs show {show[0]}")
        if show[0] != _SHOW:
            raise unknown("command of runs", show[0], [_SHOW], hint="one call: autosync-db runs show ID")
        if len(show) != 2:
            raise UsageError("show takes the id of one call", hint="list them with: autosync-db runs")
        _show(session, show[1], log=log)
        return
    if log:
        raise UsageError("--log is for one call", hint="autosync-db runs show ID --log")
    from autosync_db.connection import connect
    from autosync_db.jobs import calls, registry
    from autosync_db.report import as_calls

    with connect(session.configuration.target.database_url) as connection:
        names = registry.spoken_of(connection, session.configuration.settings, job or ())
        found = calls.of_jobs(connection, names, limit)
        callers = [one.name for one in registry.all_jobs(connection) if one.name in names and one.makes_calls]
        now = session.look(connection)
        session.say_copy(connection)
    if session.is_json:
        session.print_json(found)
    elif not found and callers:
        session.nothing("no call was made yet", next=f"autosync-db jobs trigger {shlex.quote(callers[0])}")
    elif not found:
        session.nothing(
            f"{' and '.join(names)} {'makes' if len(names) == 1 else 'make'} no calls", next="autosync-db jobs list"
        )
    else:
        session.head(of_rows=True)
        as_calls.table(found, session.out, now)
        if failed := next((call for call in found if calls.is_failure(call)), None):
            session.say(f"next: autosync-db runs show {failed.id}")


def _show(session: Session, id: str, *, log: bool) -> None:
    from autosync_db.connection import connect
    from autosync_db.jobs import one_call
    from autosync_db.report import as_calls

    with connect(session.configuration.target.database_url) as connection:
        call = one_call.find(connection, one_call.resolve(connection, id))
        now = session.look(connection)
        ref = one_call.project_ref(connection, session.configuration.target.project_ref)
        lines = _log(session, connection, call, ref) if log else None
    where = one_call.where(call, ref)
    if session.is_json:
        session.print_json(call.facts | {"log_url": where} | ({"log": lines} if lines is not None else {}))
        return
    session.head()
    as_calls.one(call, where, session.out, now)
    if lines:
        as_calls.log(lines, session.out)
    elif lines is not None:
        session.say("the log has no line of this call: new lines can be up to a minute late, and old ones are deleted")


def _log(session: Session, connection: "Connection", call: "Call", ref: str | None) -> "list[Line]":
    """Return the call's lines of the log. Raises UsageError for what is lacking to ask for them."""
    from autosync_db import config
    from autosync_db.jobs import one_call

    if ref is None:
        raise UsageError(
            "there is no hosted project with a log to read",
            hint="give the target its project_ref in autosync.toml; elsewhere, look at the log of your own functions",
        )
    one_call.require_ids(call, ref)
    management = config.management_of(ref)
    if management is None:
        raise UsageError(
            "the log is read with an access token, and SUPABASE_ACCESS_TOKEN is not set",
            hint="export one that may read logs (https://supabase.com/dashboard/account/tokens), or look there:"
            f" {one_call.where(call, ref)}",
        )
    with session.progress("reading the project's log"):
        return one_call.log(connection, management, call)
