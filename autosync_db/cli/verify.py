"""`verify`."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import completion
from autosync_db.cli.console import Session
from autosync_db.cli.ending import Run
from autosync_db.cli.options import JudgedJobs, command
from autosync_db.errors import UnreachableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from autosync_db.connection import Connection
    from autosync_db.health.model import Report


class ReportFormat(StrEnum):
    """How a health report is printed."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"
    GITHUB = "github"
    PROMETHEUS = "prometheus"
    NAGIOS = "nagios"


app = typer.Typer(add_completion=False)

_STDOUT = Path("-")

_Skipped = Annotated[
    list[str] | None,
    typer.Option(
        help="Skip this check, or all of this layer (repeatable).",
        metavar="ID",
        autocompletion=completion.layers_and_checks,
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write the report to this file, completely or not at all, or `-` to stdout; not for tables.",
    ),
]
_Probe = Annotated[
    bool, typer.Option("--probe", help="Also call the function without valid credentials; it must refuse.")
]
_BeforeSetup = Annotated[
    bool, typer.Option("--branch", help="For a new branch: report a missing setup as a warning only.")
]
_Notify = Annotated[
    bool, typer.Option("--notify", help="Send what changed to AUTOSYNC_ALERT_URL, once for each state.")
]


@command(app, "verify")
def _verify(
    session: Session,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Run only this check (repeatable).", metavar="ID", autocompletion=completion.checks),
    ] = None,
    jobs: JudgedJobs = None,
    skip: _Skipped = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 for warnings, too.")] = False,
    wait: Annotated[
        str | None,
        typer.Option(help="Wait for the next tick and its answer, at most this long, e.g. 10m.", metavar="DURATION"),
    ] = None,
    probe: _Probe = False,
    before_setup: _BeforeSetup = False,
    notify: _Notify = False,
    format: Annotated[
        ReportFormat, typer.Option(help="table, json, junit, github, prometheus or nagios.", metavar="FORMAT")
    ] = ReportFormat.TABLE,
    output: _Output = None,
) -> None:
    """Check whether the chain really works; if not, say why and how to fix it.

    Changes nothing, except the record of what --notify sent last. Exits 3 when a check is critical or could not be
    made; with --format nagios it exits like Nagios plugins.
    """
    from autosync_db.health import composer, verify

    Run.is_plugin = format is ReportFormat.NAGIOS
    patience = _patience(wait)
    if output is not None and format is ReportFormat.TABLE:
        raise UsageError("a table is for a terminal", hint="choose another format, for example: --format junit")
    configuration = session.configuration
    tell = _teller(session, _selection(only, skip, jobs), notify, strict)
    try:
        with composer.connected(configuration) as connection:
            # no tick of a copy makes a call, and a question without credentials would go to where it comes from
            if (probe or patience is not None) and session.say_copy(connection):
                probe, patience = False, None
            if patience is not None:
                _await_tick(session, connection, patience, (jobs or [configuration.settings.main.name])[0])
            with session.progress("running the checks"):
                report = verify.run(
                    connection, configuration, only or (), skip or (), jobs=jobs or (), probe=probe,
                    with_work=format is ReportFormat.PROMETHEUS, before_setup=before_setup,
                    meanwhile=_load_table if format is ReportFormat.TABLE else None,
                )  # fmt: skip
            if format is ReportFormat.TABLE:
                session.look(connection)
            tell(connection, report)
    except UnreachableError as error:
        unreachable = verify.unreachable(configuration, error, jobs or ())
        if format is not ReportFormat.TABLE:
            _print(session, unreachable, format, output)
        tell(None, unreachable)
        if format is ReportFormat.NAGIOS:
            raise typer.Exit(2) from None
        raise
    _print(session, report, format, output)
    raise typer.Exit(_code(report, format, strict=strict))


def _load_table() -> None:
    """Load what prints a table."""
    from autosync_db.cli import screens  # noqa: F401
    from autosync_db.health import place  # noqa: F401
    from autosync_db.report import as_text  # noqa: F401


def _selection(only: list[str] | None, skip: list[str] | None, jobs: list[str] | None) -> list[str]:
    """Return what was chosen, as one list of words: what is notified of one choice says nothing of another."""
    return [*(only or ()), *(f"-{id}" for id in skip or ()), *(f"/{job}" for job in jobs or ())]


def _code(report: "Report", format: ReportFormat, *, strict: bool) -> int:
    if format is ReportFormat.NAGIOS:
        from autosync_db.report import as_nagios

        return as_nagios.EXIT_CODES[report.status]
    return report.exit_code(strict=strict)


def _patience(wait: str | None) -> "timedelta | None":
    from autosync_db.config import duration

    try:
        return duration.parse(wait) if wait else None
    except ValueError as error:
        raise UsageError(str(error), hint="for example: --wait 10m") from None


def _teller(
    session: Session, selection: list[str], notify: bool, strict: bool
) -> "Callable[[Connection | None, Report], None]":
    """Return a function that sends a report to the receiver; it does nothing without --notify."""
    if not notify:
        return lambda _connection, _report: None
    from autosync_db import config
    from autosync_db.health import notify as messages

    address = config.environment_secret("AUTOSYNC_ALERT_URL")
    if address is None:
        raise UsageError(
            "--notify has no receiver: AUTOSYNC_ALERT_URL is not set",
            hint="export AUTOSYNC_ALERT_URL=... with the address of a webhook",
        )

    # before anybody waits for a verdict of which nobody would hear
    messages.form_of(address)

    def tell(connection: "Connection | None", report: "Report") -> None:
        notified = messages.tell(connection, report, address, selection, config.state_folder(), strict=strict)
        said = {
            "sent": "a message was sent",
            "unchanged": "no message: nothing changed",
            "failed": "no message was sent",
        }
        session.say(said[notified.outcome] + (f": {notified.reason}" if notified.reason else ""))

    return tell


def _print(session: Session, report: "Report", format: ReportFormat, output: Path | None) -> None:
    output = None if output == _STDOUT else output

    def put(text: str) -> None:
        if output is None:
            session.print_text(text)
        else:
            session.save(output, text)

    match format:
        case ReportFormat.TABLE:
            session.print_report(report)
        case ReportFormat.JSON if output is None:
            from autosync_db.report import as_json

            session.print_json(as_json.report(report))
        case ReportFormat.JSON:
            from autosync_db.report import as_json

            put(as_json.dumps(as_json.report(report)))
        case ReportFormat.JUNIT:
            from autosync_db.report import as_junit

            put(as_junit.report(report))
        case ReportFormat.PROMETHEUS:
            from autosync_db.report import as_prometheus

            put(as_prometheus.report(report))
        case ReportFormat.NAGIOS:
            from autosync_db.report import as_nagios

            put(as_nagios.report(report))
        case ReportFormat.GITHUB:
            from autosync_db import config
            from autosync_db.report import as_github

            put(as_github.annotations(report))
            if (path := config.github_step_summary()) is not None:
                _add_summary(session, path, as_github.summary(report))


def _add_summary(session: Session, path: Path, text: str) -> None:
    """Add to the page of the run. A page that cannot be written takes nothing from the verdict."""
    try:
        with path.open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        session.say(f"the summary cannot be written to {path}: {error.strerror}")


def _await_tick(session: Session, connection: "Connection", patience: "timedelta", name: str) -> None:
    from autosync_db.config import duration
    from autosync_db.jobs import calls

    message = f"waiting for the next tick of {name}"
    with session.progress(message) as say:
        settled = calls.wait_for_next_tick(
            connection,
            name,
            patience,
            lambda waited: say(f"{message} ({waited.total_seconds():.0f} s of at most {patience.total_seconds():.0f})"),
        )
    if not settled:
        session.say(f"no tick of {name} has settled within {duration.describe(patience)}")
