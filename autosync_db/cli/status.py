"""`status`."""

from dataclasses import replace
from datetime import UTC, datetime

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import Jobs, command

app = typer.Typer(add_completion=False)


@command(app, "status")
def _status(session: Session, job: Jobs = None) -> None:
    """Show revision, job, last tick with its real outcome, next tick, and schedules due and overdue."""
    from autosync_db.connection import connect
    from autosync_db.health import status
    from autosync_db.jobs import binding
    from autosync_db.report import as_text

    with connect(session.configuration.target.database_url) as connection:
        found = status.collect(connection, session.configuration.settings, job or ())
        found = replace(found, inherited=binding.inherited(connection, session.configuration.target))
    if session.is_json:
        session.print_json(found)
        return
    now = datetime.now(UTC)
    aim = session.configuration.aim
    as_text.table(("", ""), [(label, aim.at(text)) for label, text in status.describe(found, now)], session.out)
