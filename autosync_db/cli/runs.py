"""`runs`: what became of the calls."""

from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import Jobs, command

app = typer.Typer(add_completion=False)


@command(app, "runs")
def _runs(
    session: Session,
    job: Jobs = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many calls to show.")] = 20,
) -> None:
    """List the newest calls and what really became of them, newest first."""
    from autosync_db.connection import connect
    from autosync_db.jobs import calls, registry
    from autosync_db.report import as_text

    with connect(session.configuration.target.database_url) as connection:
        names = registry.spoken_of(connection, session.configuration.settings, job or ())
        found = calls.of_jobs(connection, names, limit)
        session.say_copy(connection)
    if session.is_json:
        session.print_json(found)
    else:
        as_text.calls(found, session.out)
