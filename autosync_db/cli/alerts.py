"""`alerts ...`: who the database itself notifies when a job fails, and where heartbeats go."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import completion, secret_input
from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group
from autosync_db.errors import ExitCode, UsageError
from autosync_db.plain import counted

if TYPE_CHECKING:
    from autosync_db.health import receivers

app = group()


class Kind(StrEnum):
    """What a receiver wants: Slack's JSON, plain JSON, or a ping after each proven success."""

    SLACK = "slack"
    WEBHOOK = "webhook"
    HEARTBEAT = "heartbeat"


Whom = Annotated[Kind, typer.Argument(help="slack, webhook or heartbeat.", metavar="KIND", show_default=False)]
Maybe = Annotated[Kind | None, typer.Argument(help="Only this one.", metavar="KIND", show_default=False)]
Job = Annotated[
    str | None,
    typer.Option(
        "--job", help="Only for this job; without it, for all jobs.", metavar="NAME", autocompletion=completion.jobs
    ),
]


@command(app, "set")
def _set(
    session: Session,
    kind: Whom,
    job: Job = None,
    from_file: secret_input.FromFile = None,
    from_env: secret_input.FromEnv = None,
) -> None:
    """Set where messages or heartbeats go. The address is a secret: from a file, the environment or a hidden prompt.

    `slack` gets Slack's form, which Mattermost and Discord (address/slack) accept, too; `webhook` gets plain JSON;
    `heartbeat` gets a ping after each proven success, as healthchecks.io, Better Stack, Cronitor and Sentry want it.
    """
    from autosync_db.health import alerts

    address = secret_input.chosen(session, from_file, from_env, f"address of {kind.value}")
    done = alerts.put(session.configuration, kind.value, job, address)
    if session.is_json:
        session.print_json(done)
        return
    session.say(
        f"{done.outcome} {kind.value} for {job or 'all jobs'} (form {done.form}, fingerprint {done.fingerprint})"
    )
    for name in done.unproven:
        session.say(
            f'the newest answer of {name} proves nothing, so no heartbeat follows: let it answer {{"ok": true}},'
            " or set in autosync.toml what to expect (expect)"
        )
    session.say(f"next: autosync-db alerts test {kind.value}" + (f" --job {job}" if job else ""))


@command(app, "list")
def _list(session: Session) -> None:
    """List who is notified, and the state of the newest message to each; addresses are never shown."""
    from autosync_db.connection import connect
    from autosync_db.health import alerts
    from autosync_db.report import as_alerts

    with connect(session.configuration.target.database_url) as connection:
        found = alerts.listed(connection)
        now = session.look(connection)
    if session.is_json:
        session.print_json(found)
    elif not found:
        session.nothing("no receiver is set", next="autosync-db alerts set slack")
    else:
        session.head(of_rows=True)
        as_alerts.listed(found, session.out, now)


@command(app, "test")
def _test(session: Session, kind: Maybe = None, job: Job = None) -> None:
    """Send a test message, wait for the receiver's answer and print it. Exits 3 when one did not accept it.

    A heartbeat is sent only within ten minutes of a proven success: a ping says that a job has just succeeded.
    """
    from autosync_db.connection import connect
    from autosync_db.health import alerts

    if kind is not None:
        chosen: list[tuple[receivers.Kind, str | None]] = [(kind.value, job)]
    else:
        with connect(session.configuration.target.database_url) as connection:
            known = alerts.listed(connection)
        chosen = [(one.kind, one.job) for one in known if not one.is_orphaned and job in {None, one.job}]
    if not chosen:
        raise UsageError("no receiver is set", hint="set one: autosync-db alerts set slack")
    tested = []
    for name, of in chosen:
        with session.progress(f"waiting for the answer of {name}"):
            tested.append(alerts.test(session.configuration, name, of))
    if session.is_json:
        session.print_json(tested)
    for one in tested:
        what = f"the receiver answered {one.status_code}" if one.status_code else "no answer"
        why = f" ({one.error})" if one.error and not one.is_good and one.error != what else ""
        said = f": {one.said}" if one.said else ""
        session.say(f"{one.kind} for {one.job or 'all jobs'}: {one.outcome.replace('_', ' ')}, {what}{why}{said}")
    if not all(one.is_good for one in tested):
        raise typer.Exit(ExitCode.CHECK_FAILED)


@command(app, "delete")
def _delete(
    session: Session,
    kind: Whom,
    job: Job = None,
    removed: Annotated[bool, typer.Option("--removed", help="Delete receivers of jobs that no longer exist.")] = False,
) -> None:
    """Stop notifying a receiver and delete its address. Messages not yet delivered are dropped."""
    from autosync_db.health import alerts

    if removed and job is not None:
        raise UsageError("--job and --removed exclude each other", hint="pass one of them")
    if removed:
        number = alerts.delete_orphaned(session.configuration, kind.value)
        if session.is_json:
            session.print_json({"kind": kind.value, "deleted": number})
        of_what = "of a removed job" if number == 1 else "of removed jobs"
        session.say(f"deleted {counted(number, f'{kind.value} receiver')} {of_what}")
        return
    done = alerts.delete(session.configuration, kind.value, job)
    if session.is_json:
        session.print_json(done)
    else:
        session.say(f"deleted {kind.value} for {job or 'all jobs'}")
