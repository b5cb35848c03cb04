"""`status`."""

from dataclasses import replace

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
    from autosync_db.report import as_jobs

    with connect(session.configuration.target.database_url) as connection:
        found = status.collect(connection, session.configuration.settings, job or ())
        found = replace(found, inherited=binding.inherited(connection, session.configuration.target))
        now = session.look(connection)
    if session.is_json:
        session.print_json(found)
        return
    session.head()
    as_jobs.project(found, session.configuration.aim, session.out, now)
    if found.troubles:
        session.say("next: autosync-db verify")
