"""`export ...`: the schema as files of other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group
from autosync_db.errors import MigrationError, UsageError
from autosync_db.plain import counted

if TYPE_CHECKING:
    from autosync_db.schema.declarative import Schemas
    from autosync_db.schema.export import Export

app = group()
_MIGRATIONS, _SCHEMAS = Path("supabase/migrations"), Path("supabase/schemas")


@command(app, "supabase")
def _supabase(
    session: Session,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Folder of the Supabase CLI's migrations [default: supabase/migrations]."),
    ] = None,
    schemas: Annotated[
        bool,
        typer.Option(
            "--schemas", help="Write declarative files instead, into DIR, for `supabase db schema declarative sync`."
        ),
    ] = False,
    schemas_folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="Folder for --schemas [default: supabase/schemas].", show_default=False),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 5 if files are missing, out of date or were edited; write nothing.")
    ] = False,
) -> None:
    """Write the migrations that are missing in the folder, for `supabase db push`; contacts no database.

    Existing migrations are never overwritten. Pushing after `migrate` is harmless, and so is `migrate` after pushing.
    With --schemas: everything that the database has after setup, jobs included, as files that are rewritten on changes.
    """
    if schemas and directory is not None:
        raise UsageError("--dir is for migrations", hint="pass the folder like this: --schemas DIR")
    if schemas:
        _schemas(session, schemas_folder or _SCHEMAS, check)
    elif schemas_folder is None:
        _migrations(session, directory or _MIGRATIONS, check)
    else:
        raise UsageError(f"{schemas_folder} is for --schemas", hint="migrations go into the folder of --dir")


def _migrations(session: Session, directory: Path, check: bool) -> None:
    from autosync_db.schema import export

    found = export.plan(directory, session.configuration.isolation)
    if not check:
        found.write()
    if session.is_json:
        session.print_json(
            {
                "current": not found.pending and not found.edited and not found.cut,
                "existing": [str(file.path) for file in found.existing],
                "edited": [str(path) for path in found.edited],
                "cut": [str(file.path) for file in found.cut],
                "pending" if check else "written": [str(file.path) for file in (*found.cut, *found.pending)],
            }
        )
    for path in found.edited:
        session.say(f"{path} was edited after it was exported: restore it from version control")
    if check:
        _judge_migrations(session, directory, found)
    for file in found.cut:
        session.say(f"wrote {file.path} again: its end was missing")
    for file in found.pending:
        session.say(f"wrote {file.path}")
    if not found.pending and not found.cut:
        session.say(f"nothing to do: {directory} has every revision and object")
    else:
        session.say("next: supabase db push")
    _warn_of_schemas(session)


def _judge_migrations(session: Session, directory: Path, found: "Export") -> None:
    """Raise MigrationError unless the folder is as it should be."""
    if not (found.pending or found.edited or found.cut):
        return
    for file in found.cut:
        session.say(f"cut short: {file.path.name}")
    for file in found.pending:
        session.say(f"missing: {file.path.name}: {file.summary}")
    wrong = [
        f"{counted(number, 'migration')} {'is' if number == 1 else 'are'} {what}"
        for number, what in (
            (len(found.pending), "missing"),
            (len(found.cut), "cut short"),
            (len(found.edited), "edited"),
        )
        if number
    ]
    raise MigrationError(
        f"in {directory} {', '.join(wrong)}",
        hint="run: autosync-db export supabase" if found.pending or found.cut else "restore the edited files",
    )


def _schemas(session: Session, directory: Path, check: bool) -> None:
    from autosync_db.schema import declarative

    found = declarative.plan(directory, session.configuration.settings)
    pending = found.pending
    if not check and not found.edited:
        found.write()
    if session.is_json:
        session.print_json(
            {
                "current": not pending and not found.edited,
                "existing": [str(file.path) for file in found.files if file.state != "missing"],
                "edited": [str(path) for path in found.edited],
                "cut": [str(file.path) for file in pending if file.state == "cut"],
                "pending" if check or found.edited else "written": [str(file.path) for file in pending],
            }
        )
    _judge_schemas(session, directory, found, check)
    for file in pending:
        again = {"cut": " again: its end was missing", "outdated": " again"}.get(file.state, "")
        session.say(f"wrote {file.path}{again}")
    if not pending:
        session.say(f"nothing to do: {directory} matches the package and the settings")
        return
    if session.configuration.isolation is None:
        session.say('policies: isolation mode "none", because the settings have no mode under [isolation]')
    session.say("these files contain no rows: the migrations of `autosync-db export supabase` and `setup` create them")
    session.say("next: supabase db schema declarative sync")


def _judge_schemas(session: Session, directory: Path, found: "Schemas", check: bool) -> None:
    """Raise MigrationError where files of the user would be overwritten, or with `check` when anything differs."""
    if found.edited:
        raise MigrationError(
            f"{found.edited[0]} was edited after it was exported, or is not from this package"
            + (f" (and {len(found.edited) - 1} more)" if len(found.edited) > 1 else ""),
            hint="move your own parts into a file with another name, delete this one and export again",
        )
    if check and found.pending:
        for file in found.pending:
            session.say(f"{file.state}: {file.path.name}")
        raise MigrationError(
            f"{len(found.pending)} of {len(found.files)} files in {directory} differ from what the export would write",
            hint="run: autosync-db export supabase --schemas" + ("" if directory == _SCHEMAS else f" {directory}"),
        )


def _warn_of_schemas(session: Session) -> None:
    """Say so where the project has declarative schemas which would take away what the migrations make."""
    from autosync_db.jobs import undeclared

    try:
        found = undeclared.look(session.configuration)
    except UsageError as error:
        session.say(f"the declarative schemas could not be read: {error.message}")
        return
    if found:
        session.say(f"{found.folder} has declarative schemas without autosync-db: {found.sentence}")
        session.say("add them with: autosync-db export supabase --schemas")
