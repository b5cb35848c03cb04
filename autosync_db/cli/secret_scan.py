"""`secrets scan`: keys that were pasted into files."""

from pathlib import Path
from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.cli.secrets import group
from autosync_db.errors import ExitCode, UsageError

_NAMES = {
    "legacy": "service_role key",
    "secret": "secret key",
    "access_token": "access token of a Supabase account",
    "anon": "anon key (public)",
    "publishable": "publishable key (public)",
    "sample": "sample key of local development (public)",
}


@command(group, "scan")
def _scan(
    session: Session,
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders [default: the current folder].", metavar="[PATH]..."),
    ] = None,
    include_public: Annotated[bool, typer.Option("--all", help="Report public keys, too.")] = False,
    include_ignored: Annotated[
        bool, typer.Option("--no-ignore", help="Look into files that git ignores, too.")
    ] = False,
) -> None:
    """Find service keys that were pasted into files; they are never printed. Exits 3 when one is found.

    Nothing is contacted and no settings are read, so that it can be a pre-commit hook.
    """
    from autosync_db.credentials import scan

    found = scan.scan(places or [Path()], include_ignored=include_ignored, include_public=include_public)
    if session.is_json:
        session.print_json(found)
    else:
        for finding in found.findings:
            project = f" of the project {finding.project_ref}" if finding.project_ref else ""
            name = _NAMES[finding.kind]
            session.print_text(f"{finding.path}:{finding.line}: {name}{project}, fingerprint {finding.fingerprint}")
    for path, reason in found.unread:
        session.say(f"cannot read {path}: {reason}")
    session.say(f"scanned {found.files} text files")
    if any(not finding.kind.is_public for finding in found.findings):
        session.say(
            "next: remove each key from the file and replace it with a new one: autosync-db rotate; "
            "it stays in the history of the repository"
        )
        raise typer.Exit(ExitCode.CHECK_FAILED)
    if found.unread:
        raise UsageError(
            f"{len(found.unread)} files could not be read, so nothing is proven of them", hint="check their permissions"
        )
