"""`rollback`."""

from typing import Annotated

import typer

from autosync_db.cli import completion
from autosync_db.cli.console import Session
from autosync_db.cli.options import command

app = typer.Typer(add_completion=False)

# below this revision a job that was taken over has its own text again, as kept
_GIVES_BACK = "0005"
# what revision 0002 says of a job that reads a secret from the table that it drops
_EMPTIED = "put its secret back into its text"


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
    from functools import partial

    from autosync_db.connection import connect
    from autosync_db.credentials import unfinished
    from autosync_db.jobs import references
    from autosync_db.schema import migrate, revisions

    url, wanted = session.configuration.target.database_url, revisions.named(revision)
    with connect(url) as connection:
        masked = references.inactive(connection)
    begins = partial(unfinished.require_none_lost, revision=wanted)
    with session.progress("trying it" if dry_run else "rolling back") as say:
        outcome = migrate.downgrade(url, wanted, drop_rows=yes, is_trial=dry_run, begins=begins, on_retry=say)
    if session.is_json:
        session.print_json(outcome)
        return
    for warning in outcome.warnings:
        session.say(f"warning: {warning}")
    if any(_EMPTIED in warning for warning in outcome.warnings):
        were = "would be" if dry_run else "were"
        session.say(f"their secrets {were} deleted with public.pg_cron_secrets; autosync-db teardown keeps them")
    if _GIVES_BACK in outcome.revisions:
        for name in (name for name, lacks in masked.items() if lacks):
            session.say(f"warning: the job {name} comes back inactive, with *** in place of its secret")
    if outcome.revisions:
        session.say(f"{'would go ' if dry_run else ''}{outcome.before} -> {outcome.after or 'base'}")
        if outcome.emptied:
            would = "would be deleted, which needs --yes" if dry_run else "were deleted"
            session.say(f"the rows of {' and '.join(outcome.emptied)} {would}")
    else:
        session.say(f"nothing to do: the database is at {outcome.after or 'base'}")
