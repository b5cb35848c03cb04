"""`scaffold ...`: files for the user's own repository."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group

app = group()

# the functions check their caller themselves, and the gateway's own check refuses keys that begin with sb_
_NEXT = """\
next:
1. put your sync into {directory}/device-sync/index.ts
2. copy the sections of {directory}/config.toml into supabase/config.toml
3. supabase functions deploy auto-sync-cron device-sync"""
_NEXT_OF_PLAIN = """\
next:
1. put your work into {directory}/{name}/index.ts
2. add to supabase/config.toml, or deploy with --no-verify-jwt:
   [functions.{name}]
   verify_jwt = false
3. supabase functions deploy {name}
4. add to autosync.toml, then run: autosync-db setup
   [jobs.{name}]
   function = "{name}"
   schedule = "0 6 * * *\""""


class Kind(StrEnum):
    """For which CI system."""

    GITHUB = "github"
    SHELL = "shell"


@command(app, "function")
def _function(
    session: Session,
    plain: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Write one function for a job of your own instead.", show_default=False),
    ] = None,
    directory: Annotated[Path, typer.Option("--dir", help="Folder of the Edge Functions.")] = Path(
        "supabase/functions"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
) -> None:
    """Write the Edge Functions auto-sync-cron and, as a sample, device-sync; or a plain one for another job.

    A plain function checks its caller and answers as verify understands it; its work is yours to write.
    Existing files that differ are not touched without --force.
    """
    from autosync_db import scaffold

    if plain is None:
        written = scaffold.write_functions(directory, force=force)
    else:
        written = scaffold.write_plain_function(directory, plain, force=force)
    if session.is_json:
        session.print_json({"written": [str(path) for path in written]})
    for path in written:
        session.say(f"wrote {path}")
    if not written:
        session.say(f"nothing to do: {directory} already has these files")
    elif plain is None:
        session.say(_NEXT.format(directory=directory))
    else:
        session.say(_NEXT_OF_PLAIN.format(directory=directory, name=plain))


@command(app, "workflow")
def _workflow(
    session: Session,
    kind: Annotated[
        Kind, typer.Option(help="GitHub Actions, or a shell script for any other CI system.")
    ] = Kind.GITHUB,
    path: Annotated[
        Path | None,
        typer.Option(help="File to write.", show_default=".github/workflows/autosync-db.yml or ci/autosync-db.sh"),
    ] = None,
    branch: Annotated[str, typer.Option(help="Branch whose pushes migrate.")] = "main",
    secret: Annotated[
        str, typer.Option(help="Name of the CI secret, and of the variable, with the database's address.")
    ] = "AUTOSYNC_DATABASE_URL",  # noqa: S107 - a name
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that differs.")] = False,
) -> None:
    """Write a CI workflow: check pull requests, migrate and verify the main branch, verify on a timer and alert.

    With --target the workflow works on that target of autosync.toml. An existing file that
    differs is not touched without --force.
    """
    from autosync_db import scaffold

    written = scaffold.write_workflow(
        kind.value, path, branch=branch, target=session.target, secret=secret, force=force
    )
    if session.is_json:
        session.print_json({"written": [str(written)] if written else []})
    if written:
        session.say(f"wrote {written}; next: add the database's address to the CI system's secrets as {secret}")
    else:
        session.say(f"nothing to do: {path or scaffold.WORKFLOWS[kind.value]} is up to date")
