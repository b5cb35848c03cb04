"""`rollback`."""

from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command

app = typer.Typer(add_completion=False)


@command(app, "rollback")
def _rollback(
    session: Session,
    revision: Annotated[str, typer.Argument(help="Revision to go back to; `base` for before the first.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Drop tables even if they hold rows.")] = False,
) -> None:
    """Downgrade the database to a revision, in one transaction.

    Refuses to drop tables that hold rows unless --yes is given.
    """
    from autosync_db.schema import migrate

    url = session.configuration.target.database_url
    with session.progress("rolling back") as say:
        outcome = migrate.downgrade(url, revision, drop_rows=yes, on_retry=say)
    if session.is_json:
        session.print_json(outcome)
        return
    for warning in outcome.warnings:
        session.say(f"warning: {warning}")
    if outcome.revisions:
        session.say(f"{outcome.before} -> {outcome.after or 'base'}")
    else:
        session.say(f"nothing to do: the database is at {outcome.after or 'base'}")
