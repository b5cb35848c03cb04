"""`secrets ...` and `rotate`: what is stored, who changed it, and replacing it without a lost call."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import app, secret_input
from autosync_db.cli.console import Ending, Session
from autosync_db.cli.options import command
from autosync_db.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from autosync_db.credentials.rotation import Result
    from autosync_db.progress import Step

group = typer.Typer(no_args_is_help=True, help="The secrets of the scheduled calls: names and facts, never values.")
app.add_typer(group, name="secrets")

FromFile = Annotated[
    str | None, typer.Option("--from-file", help="File that holds the value; - reads standard input.", metavar="PATH")
]
FromEnv = Annotated[str | None, typer.Option("--from-env", help="Variable that holds the value.", metavar="VAR")]


@command(app, "rotate")
def _rotate(
    session: Session,
    from_file: FromFile = None,
    from_env: FromEnv = None,
    no_preflight: Annotated[
        bool, typer.Option("--no-preflight", help="Do not ask the function directly before the new key is stored.")
    ] = False,
    generate: Annotated[
        bool,
        typer.Option("--generate", help="Make a new cron secret; called again, put it in force ([function] auth)."),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Prove what an interrupted rotation left in force, or put back the old key."),
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Put back what an interrupted rotation kept, without a call.")
    ] = False,
) -> None:
    """Replace the service key: prove that the function accepts the new one, store it, prove it by a real call.

    When that fails the old key is put back and the exit code is 6. Without --from-file and --from-env a terminal is
    asked. Interrupted at any moment, the old or the new key is in force; run it again, or with --resume or --abort.
    """
    from autosync_db.credentials import cron_secret, rotation
    from autosync_db.progress import Reporter

    if resume and abort:
        raise UsageError("--resume and --abort exclude each other", hint="pass one of them")
    if generate and (resume or abort or from_file or from_env):
        raise UsageError("--generate makes the new value itself", hint="leave the other flags out")
    if (resume or abort) and (from_file or from_env or no_preflight):
        raise UsageError("--resume and --abort take no new key", hint="leave the other flags out")
    configuration = session.configuration
    Ending.unread = ExitCode.BUG
    with session.progress("connecting") as say:
        reporter = Reporter(lambda step: _tell(session, step), say)
        if resume:
            result = rotation.resume(configuration, reporter=reporter)
        elif abort:
            result = rotation.abort(configuration)
        elif generate:
            result = cron_secret.rotate(configuration, preflight=not no_preflight, reporter=reporter)
        else:
            by_key = configuration.settings.function.auth == "service_key"
            value = secret_input.chosen(from_file, from_env, rotation.SERVICE_KEY.noun if by_key else cron_secret.NOUN)
            subject = rotation.SERVICE_KEY if by_key else cron_secret.subject(configuration)
            # what its form says is said before anything is contacted
            subject.check(value, configuration.target.project_ref)
            result = rotation.replace(configuration, subject, value, preflight=not no_preflight, reporter=reporter)
    Ending.unread = ExitCode.OK
    _print_result(session, result)
    if result.outcome == "generated":
        session.say(f"next: {cron_secret.hand_over(configuration)}; then this command again")


@command(group, "env")
def _env(
    session: Session,
    path: Annotated[Path, typer.Argument(help="Environment file; it is made readable by you alone.", metavar="FILE")],
) -> None:
    """Write the function's variable with the cron secret into a file, for `supabase secrets set --env-file`.

    While a new secret is not in force yet, both are in it. Other lines of the file are kept; nothing is printed.
    """
    from autosync_db.connection import connect
    from autosync_db.credentials import cron_secret

    with connect(session.configuration.target.database_url) as connection:
        values = cron_secret.known(connection)
    changed = cron_secret.write_environment(path, values)
    if session.is_json:
        session.print_json({"path": str(path), "variable": cron_secret.VARIABLE, "secrets": len(values)})
    else:
        session.say(f"{'wrote' if changed else 'unchanged:'} {path}: {cron_secret.VARIABLE} with {len(values)} of them")


@command(group, "list")
def _list(session: Session) -> None:
    """List names, kinds, fingerprints and ages, and the last call that succeeded since each was changed."""
    from autosync_db import duration
    from autosync_db.connection import connect
    from autosync_db.credentials import listing
    from autosync_db.report import as_text

    with connect(session.configuration.target.database_url) as connection:
        found = listing.collect(connection, session.configuration.settings.job.name)
    if session.is_json:
        session.print_json(found)
        return
    now = datetime.now(UTC)
    rows = [
        (
            one.name,
            one.store,
            one.kind,
            one.fingerprint,
            f"{duration.describe(now - one.changed_at)} ago",
            "not used by the job"
            if not one.is_needed
            else f"{duration.describe(now - one.last_success_at)} ago"
            if one.last_success_at
            else "never since",
            "being proven" if one.is_being_proven else "not proven" if one.is_unproven else "",
        )
        for one in found
    ]
    as_text.table(("name", "store", "kind", "fingerprint", "changed", "last success", ""), rows, session.out)


@command(group, "set")
def _set(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the secret: small letters, digits and _.", metavar="NAME")],
    from_file: FromFile = None,
    from_env: FromEnv = None,
) -> None:
    """Store a secret that a function reads; the value comes from a file, the environment or a hidden prompt.

    The service key is replaced by `rotate`, the project URL by `setup`: both are proven by a call.
    """
    from autosync_db.credentials import edit, store

    store.require_settable(name)
    value = secret_input.chosen(from_file, from_env, f"value of {name}")
    done = edit.set_value(session.configuration, name, value)
    if session.is_json:
        session.print_json(done)
    else:
        session.say(f"{done.outcome} {name} (fingerprint {done.fingerprint})")


@command(group, "delete")
def _delete(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the secret.", metavar="NAME")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete also what the job needs, without a question.")] = False,
) -> None:
    """Delete a secret. One that a job needs is deleted only if you say so: no call is made without it."""
    from autosync_db.credentials import edit

    question = f"Without {name} no call is made. Delete it?"
    done = edit.delete(session.configuration, name, lambda: session.confirm(question, flag="--yes", given=yes))
    if session.is_json:
        session.print_json({"name": done.name, "outcome": done.outcome})
    else:
        session.say(f"deleted {name}")


@command(group, "history")
def _history(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="One secret only.", metavar="[NAME]")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many changes to show.")] = 50,
) -> None:
    """List who changed which secret when, newest first; changes by hand are among them."""
    from autosync_db.connection import connect
    from autosync_db.credentials import store
    from autosync_db.report import as_text

    with connect(session.configuration.target.database_url) as connection:
        store.require_history(connection)
        found = store.history(connection, name, limit)
    if session.is_json:
        session.print_json(found)
        return
    rows = [
        (
            f"{one.changed_at:%Y-%m-%d %H:%M:%S}",
            one.action,
            one.name,
            one.store,
            one.kind,
            f"{one.fingerprint_before or '-'} -> {one.fingerprint_after or '-'}",
            one.acting_role if one.acting_role == one.session_role else f"{one.acting_role} (as {one.session_role})",
            one.application_name,
            one.client_address or "local socket",
        )
        for one in found
    ]
    headers = ("when (UTC)", "action", "name", "store", "kind", "fingerprints", "role", "application", "address")
    as_text.table(headers, rows, session.out)


def _tell(session: Session, step: "Step") -> None:
    if not session.is_json:
        session.say(f"{'*' if step.changed else '='} {step.name:<8} {step.result}")


_ENDINGS = {
    "rotated": "the new value is in force; what it replaced is used no more: delete or disable it where it was issued",
    "finished": "what was left unproven is proven and in force; what it replaced is used no more",
    "put back": "what was stored before is in force again; prove it with: autosync-db job trigger",
    "unchanged": "this value is in force already; nothing was changed",
    "generated": "a new cron secret is stored and not in force yet",
    "nothing": "no rotation is unfinished; nothing was changed",
}


def _print_result(session: Session, result: "Result") -> None:
    from autosync_db.report import as_text

    if session.is_json:
        session.print_json(result)
        return
    rows = [(result.outcome, one.name, one.fingerprint_before, one.fingerprint_after) for one in result.changes]
    if rows:
        as_text.table(("result", "name", "before", "after"), rows, session.out)
    if result.note:
        session.say(f"note: {result.note}")
    session.say(_ENDINGS[result.outcome])
