"""`job ...` and `runs`: the scheduled job, and what became of its calls."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import app
from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import CheckFailedError

if TYPE_CHECKING:
    from autosync_db.jobs.calls import Invocation

group = typer.Typer(no_args_is_help=True, help="The scheduled job: show, pause, resume, trigger.")
app.add_typer(group, name="job")


@command(group, "show")
def _show(session: Session) -> None:
    """Show what the job must be and what pg_cron has."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry
    from autosync_db.report import as_text

    with connect(session.configuration.target.database_url) as connection:
        found = registry.find(connection, session.configuration.settings.job.name)
    if session.is_json:
        session.print_json(found)
        return
    rows = [
        ("name", found.name),
        ("function", found.function),
        ("schedule", found.schedule),
        ("timeout", f"{found.timeout.total_seconds():g} s"),
        ("invoke", found.invoke),
        ("in pg_cron", f"job {found.cron_id}, {found.cron_schedule}" if found.cron_id else "no"),
        ("active", "yes" if found.active else "no"),
        ("paused", f"{found.paused_at:%Y-%m-%d %H:%M} UTC by {found.paused_by}" if found.paused_at else "no"),
    ]
    as_text.table(("", ""), rows, session.out)


@command(group, "pause")
def _pause(session: Session) -> None:
    """Stop the job's ticks; verify then reports a pause, not a fault."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry

    with connect(session.configuration.target.database_url) as connection:
        registry.pause(connection, session.configuration.settings.job.name)
    session.say("paused; resume with: autosync-db job resume")


@command(group, "resume")
def _resume(session: Session) -> None:
    """Let the job tick again."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry

    with connect(session.configuration.target.database_url) as connection:
        registry.resume(connection, session.configuration.settings.job.name)
    session.say("resumed")


@command(group, "trigger")
def _trigger(
    session: Session,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the answer.")] = False,
) -> None:
    """Run one tick now and wait for the function's real answer; exit 3 if it is not a success."""
    from autosync_db.connection import connect
    from autosync_db.jobs import calls, registry
    from autosync_db.jobs.calls import GRACE

    settings = session.configuration.settings.job
    with connect(session.configuration.target.database_url) as connection:
        tick_id = registry.trigger(connection, settings.name)
        if no_wait:
            session.say(f"tick {tick_id} was posted; see what became of it with: autosync-db runs")
            return
        with session.progress("waiting for the function's answer") as say:
            answers = calls.wait(
                connection,
                settings.name,
                tick_id,
                settings.timeout + GRACE,
                lambda waited: say(f"waiting for the function's answer ({waited.total_seconds():.0f} s)"),
            )
    _print_invocations(session, answers)
    require_success(answers)


@command(app, "runs")
def _runs(
    session: Session,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many calls to show.")] = 20,
) -> None:
    """List the newest calls with what really became of them, newest first."""
    from autosync_db.connection import connect
    from autosync_db.jobs import calls, registry

    name = session.configuration.settings.job.name
    with connect(session.configuration.target.database_url) as connection:
        registry.find(connection, name)
        found = calls.recent(connection, name, limit)
    _print_invocations(session, found)


def require_success(answers: "Sequence[Invocation]") -> None:
    """Raise CheckFailedError unless every answer is a success."""
    from autosync_db.jobs.calls import Cause

    for answer in answers:
        if answer.cause is Cause.PENDING:
            raise CheckFailedError(
                f"pg_net has not sent request {answer.request_id} yet",
                hint="find the cause with: autosync-db verify",
            )
        if answer.cause is not Cause.OK:
            raise CheckFailedError(
                f"the call did not succeed: {answer.summary}", hint="find the cause with: autosync-db verify"
            )


def _print_invocations(session: Session, found: "Sequence[Invocation]") -> None:
    from autosync_db.report import as_text

    if session.is_json:
        session.print_json(found)
        return
    rows = [
        (f"{row.queued_at:%Y-%m-%d %H:%M:%S}", row.tick_id, row.request_id, row.cause.value, row.summary)
        for row in found
    ]
    as_text.table(("queued (UTC)", "tick", "request", "cause", "answer"), rows, session.out)
