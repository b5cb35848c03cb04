"""`rollback`."""

from typing import Annotated

import typer

from autosync_db.cli import completion
from autosync_db.cli.console import Session
from autosync_db.cli.options import command

app = typer.Typer(add_completion=False)


@command(app, "rollback")
def _rollback(
    session: Session,
    revision: Annotated[
        str,
        typer.Argument(
            help="Revision to go back to; `base` for before the first.", autocompletion=completion.revisions
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Drop tables even if they hold rows.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it in a transaction that is rolled back, and show what it would do.")
    ] = False,
) -> None:
    """Downgrade the database to a revision, in one transaction.

    Refuses to drop tables that hold rows unless --yes is given. A dry run takes the same locks, for as long.
    """
    from autosync_db.schema import revisions
    from autosync_db.setup import rollback

    wanted = revisions.named(revision)
    with session.progress("trying it" if dry_run else "rolling back") as say:
        outcome = rollback.run(session.configuration, wanted, drop_rows=yes, is_trial=dry_run, on_retry=say)
    if session.is_json:
        session.print_json(outcome)
        return
    for warning in outcome.warnings:
        session.say(f"warning: {warning}")
    if outcome.revisions:
        session.say(f"{'would go ' if dry_run else ''}{outcome.before} -> {outcome.after or 'base'}")
        if outcome.emptied:
            would = "would be deleted, which needs --yes" if dry_run else "were deleted"
            session.say(f"the rows of {' and '.join(outcome.emptied)} {would}")
    else:
        session.say(f"nothing to do: the database is at {outcome.after or 'base'}")
