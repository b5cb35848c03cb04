"""`job ...`: the scheduled job."""

from typing import Annotated

import typer

from autosync_db.cli import take_over
from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group

app = group()
take_over.register(app)


@command(app, "show")
def _show(session: Session) -> None:
    """Show the job's settings and what pg_cron has of it."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry
    from autosync_db.report import as_text

    with connect(session.configuration.target.database_url) as connection:
        found = registry.find(connection, session.configuration.settings.main.name)
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


@command(app, "pause")
def _pause(session: Session) -> None:
    """Stop the job's ticks; verify then reports a paused job, not a failure."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry

    with connect(session.configuration.target.database_url) as connection:
        registry.pause(connection, session.configuration.settings.main.name)
    session.say("paused; resume with: autosync-db job resume")


@command(app, "resume")
def _resume(session: Session) -> None:
    """Let the job tick again."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry

    with connect(session.configuration.target.database_url) as connection:
        registry.resume(connection, session.configuration.settings.main.name)
    session.say("resumed")


@command(app, "trigger")
def _trigger(
    session: Session,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the answer.")] = False,
) -> None:
    """Run one tick now and wait for the function's real answer; exit 3 if it is not a success."""
    from autosync_db.connection import connect
    from autosync_db.jobs import calls
    from autosync_db.report import as_text

    settings = session.configuration.settings.main
    with connect(session.configuration.target.database_url) as connection:
        if no_wait:
            tick_id = calls.trigger(connection, settings.name)
            session.say(f"tick {tick_id} is posted; see its answer with: autosync-db runs")
            return
        with session.progress("waiting for the function's answer") as say:
            _, answers = calls.trigger_and_wait(connection, settings.name, settings.timeout, say)
    if session.is_json:
        session.print_json(answers)
    else:
        as_text.calls(answers, session.out)
    calls.require_success(answers)
