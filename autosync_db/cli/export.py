"""`export ...`: the schema as migrations of other tools."""

from pathlib import Path
from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group
from autosync_db.errors import MigrationError

app = group()


@command(app, "supabase")
def _supabase(
    session: Session,
    directory: Annotated[Path, typer.Option("--dir", help="Folder of the Supabase CLI's migrations.")] = Path(
        "supabase/migrations"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Exit 5 if files are missing or were edited; write nothing.")
    ] = False,
) -> None:
    """Write the migrations that the folder lacks, for `supabase db push`; contacts no database.

    Existing files are never overwritten. Pushing after `migrate` is harmless, and so is `migrate` after pushing.
    """
    from autosync_db.schema import export

    found = export.plan(directory, session.configuration.isolation)
    if not check:
        found.write()
    if session.is_json:
        session.print_json(
            {
                "current": not found.pending and not found.edited,
                "existing": [str(file.path) for file in found.existing],
                "edited": [str(path) for path in found.edited],
                "pending" if check else "written": [str(file.path) for file in found.pending],
            }
        )
    for path in found.edited:
        session.say(f"{path} was edited after it was exported: restore it from version control")
    if check and (found.pending or found.edited):
        for file in found.pending:
            session.say(f"missing: {file.path.name}: {file.summary}")
        raise MigrationError(
            f"{directory} lacks {len(found.pending)} migrations, and {len(found.edited)} were edited",
            hint="run: autosync-db export supabase" if found.pending else "restore the edited files",
        )
    for file in found.pending:
        session.say(f"wrote {file.path}")
    if not found.pending:
        session.say(f"nothing to do: {directory} has every revision and object")
    else:
        session.say("next: supabase db push")
