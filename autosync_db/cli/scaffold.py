"""`scaffold ...`: files for the user's own repository."""

from pathlib import Path
from typing import Annotated

import typer

from autosync_db.cli import app
from autosync_db.cli.console import Session
from autosync_db.cli.options import command

group = typer.Typer(no_args_is_help=True, help="Write files for your own repository.")
app.add_typer(group, name="scaffold")


@command(group, "function")
def _function(
    session: Session,
    directory: Annotated[Path, typer.Option("--dir", help="Folder of the Edge Functions.")] = Path(
        "supabase/functions"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
) -> None:
    """Write the Edge Functions auto-sync-cron and, as a sample, device-sync.

    Files that are there already and differ are not touched without --force.
    """
    from autosync_db import scaffold

    written = scaffold.write_functions(directory, force=force)
    if session.is_json:
        session.print_json({"written": [str(path) for path in written]})
    for path in written:
        session.say(f"wrote {path}")
    if not written:
        session.say(f"nothing to do: {directory} already holds these files")
    else:
        session.say(
            "next: put your sync into device-sync/index.ts, then: supabase functions deploy auto-sync-cron device-sync"
        )
