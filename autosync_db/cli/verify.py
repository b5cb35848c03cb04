"""`verify` and `explain`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import app
from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import UnreachableError, UsageError

if TYPE_CHECKING:
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


@command(app, "verify")
def _verify(
    session: Session,
    only: Annotated[
        list[str] | None, typer.Option(help="Report these checks alone (repeatable).", metavar="ID")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave these checks out (repeatable).", metavar="ID")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 for warnings too.")] = False,
    wait: Annotated[
        str | None,
        typer.Option(help="Wait at most so long, e.g. 10m, until the next tick has settled.", metavar="DURATION"),
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also call the function as a stranger would; it must refuse.")
    ] = False,
    format: Annotated[ReportFormat, typer.Option(help="How the report is printed.")] = ReportFormat.TABLE,
) -> None:
    """Say whether the chain really works, and if not, why not and what mends it.

    Reads only. Exits 3 when a check is critical, or could not look; with --format nagios as a Nagios plugin does.
    """
    from autosync_db import duration
    from autosync_db.connection import connect
    from autosync_db.health import verify

    try:
        patience = duration.parse(wait) if wait else None
    except ValueError as error:
        raise UsageError(str(error), hint="for example: --wait 10m") from None
    configuration = session.configuration
    try:
        with connect(configuration.target.database_url) as connection:
            if patience is not None:
                _await_tick(session, connection, patience)
            with session.progress("looking"):
                report = verify.run(connection, configuration, only or (), skip or (), probe=probe)
    except UnreachableError as error:
        if format is not ReportFormat.TABLE:
            _print(session, verify.unreachable(configuration, error), format)
        if format is ReportFormat.NAGIOS:
            raise typer.Exit(2) from None
        raise
    _print(session, report, format)
    if format is ReportFormat.NAGIOS:
        from autosync_db.report import as_nagios

        raise typer.Exit(as_nagios.EXIT_CODES[report.status])
    raise typer.Exit(report.exit_code(strict=strict))


def show(session: Session, report: "Report", *, as_json: bool) -> None:
    """Print a health report on stdout."""
    _print(session, report, ReportFormat.JSON if as_json else ReportFormat.TABLE)


def _print(session: Session, report: "Report", format: ReportFormat) -> None:
    from autosync_db.report import as_github, as_json, as_junit, as_nagios, as_prometheus, as_text

    match format:
        case ReportFormat.TABLE:
            as_text.report(report, session.out, show_all=session.verbose)
        case ReportFormat.JSON:
            session.print_json(as_json.report(report))
        case ReportFormat.JUNIT:
            session.print_text(as_junit.report(report))
        case ReportFormat.PROMETHEUS:
            session.print_text(as_prometheus.report(report))
        case ReportFormat.NAGIOS:
            session.print_text(as_nagios.report(report))
        case ReportFormat.GITHUB:
            from autosync_db import config

            session.print_text(as_github.annotations(report))
            if (path := config.github_step_summary()) is not None:
                with path.open("a", encoding="utf-8") as summary:
                    summary.write(as_github.summary(report))


def _await_tick(session: Session, connection: "Connection", patience: "timedelta") -> None:
    from autosync_db import duration
    from autosync_db.jobs import calls

    name = session.configuration.settings.job.name
    message = f"waiting for the next tick of {name}"
    with session.progress(message) as say:
        settled = calls.wait_for_next_tick(
            connection,
            name,
            patience,
            lambda waited: say(f"{message} ({waited.total_seconds():.0f} s of at most {patience.total_seconds():.0f})"),
        )
    if not settled:
        session.say(f"no tick of {name} has settled in {duration.describe(patience)}")


@command(app, "explain")
def _explain(
    session: Session,
    id: Annotated[str | None, typer.Argument(help="Check to explain; without it the catalogue is listed.")] = None,
) -> None:
    """Print the page of a check: its claim, why it matters, how it looks, its query and its remedy."""
    from autosync_db.health import catalogue as checks
    from autosync_db.report import as_text

    if id is None:
        catalogue = checks.all_checks()
        if session.is_json:
            session.print_json(
                [{"id": id, "layer": check.layer, "claim": check.claim} for id, check in catalogue.items()]
            )
        else:
            rows = [(check.layer, id, check.claim) for id, check in catalogue.items()]
            as_text.table(("layer", "id", "claim"), rows, session.out)
        return
    check = checks.find(id)
    if session.is_json:
        session.print_json(
            {
                "id": id,
                "layer": check.layer,
                "claim": check.claim,
                "remedy": check.remedy,
                "query": checks.query(id) if check.has_query else None,
                "page": checks.page(id),
            }
        )
    elif session.out.is_terminal:
        from rich.markdown import Markdown

        session.out.print(Markdown(checks.page(id)))
    else:
        session.print_text(checks.page(id))
