"""`secrets ...`: what is stored, who changed it, and what was pasted into files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autosync_db.cli import completion, secret_input
from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group
from autosync_db.errors import ExitCode, UsageError
from autosync_db.plain import counted

app = group()


class ScanFormat(StrEnum):
    """How findings are printed."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"


@command(app, "list")
def _list(session: Session) -> None:
    """List names, kinds, fingerprints and ages, and the last call that succeeded since each was changed."""
    from autosync_db.connection import connect
    from autosync_db.credentials import listing
    from autosync_db.jobs import registry
    from autosync_db.report import as_secrets

    with connect(session.configuration.target.database_url) as connection:
        jobs = registry.registered(connection, session.configuration.settings).jobs
        found = listing.collect(connection, jobs)
        missing = listing.missing(connection, jobs)
        now = session.look(connection)
    if session.is_json:
        session.print_json(found)
        return
    if not found and not missing:
        session.nothing("no secret is stored, and no job needs one", next="autosync-db jobs list")
        return
    session.head(of_rows=True)
    as_secrets.listed(found, missing, session.out, now)
    if missing:
        way = "setup" if missing[0] in listing.OF_SETUP else f"secrets set {missing[0]}"
        session.say(f"next: autosync-db {way}")


@command(app, "set")
def _set(
    session: Session,
    name: Annotated[
        str,
        typer.Argument(
            help="Name of the secret: lowercase letters, digits and _.",
            metavar="NAME",
            autocompletion=completion.secrets,
        ),
    ],
    from_file: secret_input.FromFile = None,
    from_env: secret_input.FromEnv = None,
) -> None:
    """Store a secret that a function reads; the value comes from a file, the environment or a hidden prompt.

    The service key is replaced by `rotate`, the project URL by `setup`: both make a real call.
    """
    from autosync_db.credentials import edit, store

    store.require_settable(name)
    value = secret_input.chosen(session, from_file, from_env, f"value of {name}")
    done = edit.set_value(session.configuration, name, value)
    if done.meant:
        session.say(f"no job uses {name}; did you mean {done.meant}?")
    if session.is_json:
        session.print_json(done)
    else:
        session.say(f"{done.outcome} {name} (fingerprint {done.fingerprint})")


@command(app, "delete")
def _delete(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the secret.", metavar="NAME", autocompletion=completion.secrets)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a secret. If a job needs it, you are asked first: the job makes no calls without it."""
    from autosync_db.credentials import edit

    def confirm(readers: list[str], shows: list[str]) -> None:
        if readers:
            session.say(f"warning: these cron jobs read {name} and fail without it: {', '.join(readers)}")
        if shows:
            session.say(f"warning: the calls of these jobs show {name} to the gateway: {', '.join(shows)}")
        without = "the gateway may refuse their calls" if shows else "they make no calls"
        session.confirm(f"Jobs need {name}: without it {without}. Delete it anyway?", flag="--yes", given=yes)

    done = edit.delete(session.configuration, name, confirm)
    if session.is_json:
        session.print_json({"name": done.name, "outcome": done.outcome})
    else:
        session.say(f"deleted {name}")


@command(app, "history")
def _history(
    session: Session,
    name: Annotated[
        str | None, typer.Argument(help="Only this secret.", metavar="NAME", autocompletion=completion.secrets)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many changes to show.")] = 50,
) -> None:
    """List who changed which secret when, newest first; changes made with plain SQL are included."""
    from autosync_db.connection import connect
    from autosync_db.credentials import listing, store
    from autosync_db.report import as_secrets

    with connect(session.configuration.target.database_url) as connection:
        store.require_history(connection)
        found = store.history(connection, name, limit)
        if name is not None and not found:
            listing.require_known(connection, name)
        now = session.look(connection)
    if session.is_json:
        session.print_json(found)
    elif not found:
        session.nothing(f"nothing was recorded about {name or 'any secret'} yet", next="autosync-db secrets list")
    else:
        session.head(of_rows=True)
        as_secrets.history(found, session.out, now)


@command(app, "scan")
def _scan(
    session: Session,
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders [default: the current folder].", metavar="PATH"),
    ] = None,
    include_public: Annotated[bool, typer.Option("--all", help="Report public keys, too.")] = False,
    include_ignored: Annotated[bool, typer.Option("--no-ignore", help="Scan files that git ignores, too.")] = False,
    format: Annotated[
        ScanFormat, typer.Option(help="How findings are printed; sarif is for code scanning.")
    ] = ScanFormat.TABLE,
) -> None:
    """Find keys, tokens and database passwords that were pasted into files; they are never printed.

    Exits 3 when one is found. Nothing is contacted and no settings are read, so that it can be a pre-commit hook.
    """
    from autosync_db.credentials import scan
    from autosync_db.report import found_secrets

    found = scan.scan(places or [Path()], include_ignored=include_ignored, include_public=include_public)
    match format:
        case ScanFormat.JSON:
            session.print_json(found)
        case ScanFormat.SARIF:
            session.print_json(found_secrets.sarif(found))
        case ScanFormat.TABLE:
            for finding in found.findings:
                session.print_text(found_secrets.line(finding))
    for path, reason in found.unread:
        session.say(f"cannot read {path}: {reason}")
    session.say(f"scanned {counted(found.files, 'text file')}")
    if any(not finding.kind.is_public for finding in found.findings):
        session.say(
            "next: remove each from its file and replace it with a new one (a key: autosync-db rotate): "
            "the old one stays in the history of the repository"
        )
        raise typer.Exit(ExitCode.CHECK_FAILED)
    if found.unread:
        raise UsageError(
            f"{counted(len(found.unread), 'file')} could not be read and may hold keys", hint="check their permissions"
        )


@command(app, "env")
def _env(
    session: Session,
    path: Annotated[Path, typer.Argument(help="Environment file; only you will be able to read it.", metavar="FILE")],
) -> None:
    """Write the function's variable with the cron secret into a file, for `supabase secrets set --env-file`.

    Until a new secret is active, the file holds both. Other lines of the file are kept; nothing is printed.
    """
    from autosync_db.connection import connect
    from autosync_db.credentials import cron_secret, scan

    with connect(session.configuration.target.database_url) as connection:
        values = cron_secret.known(connection)
    changed = cron_secret.write_environment(path, values)
    if session.is_json:
        session.print_json({"path": str(path), "variable": cron_secret.VARIABLE, "secrets": len(values)})
    else:
        holds = f"{cron_secret.VARIABLE} with {counted(len(values), 'secret')}"
        session.say(f"{'wrote' if changed else 'unchanged:'} {path}: {holds}")
    if scan.is_open_to_git(path):
        session.say(f"warning: git does not ignore {path}: delete it after use, or add it to .gitignore")
