"""`verify` and `explain`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import app
from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import ExitCode

if TYPE_CHECKING:
    from autosync_db.checks.runner import Report


class ReportFormat(StrEnum):
    """How a health report is printed."""

    TABLE = "table"
    JSON = "json"


@command(app, "verify")
def _verify(
    session: Session,
    only: Annotated[
        list[str] | None, typer.Option(help="Report these checks alone (repeatable).", metavar="ID")
    ] = None,
    skip: Annotated[list[str] | None, typer.Option(help="Leave these checks out (repeatable).", metavar="ID")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 for warnings too.")] = False,
    format: Annotated[ReportFormat, typer.Option(help="How the report is printed.")] = ReportFormat.TABLE,
) -> None:
    """Say whether the chain really works, and if not, why not and what mends it.

    Reads only. Exits 3 when a check is critical, or could not look.
    """
    from autosync_db.checks import runner
    from autosync_db.connection import connect

    with session.progress("looking"), connect(session.configuration.target.database_url) as connection:
        report = runner.run(connection, session.configuration, only or (), skip or ())
    show(session, report, as_json=format is ReportFormat.JSON)
    raise typer.Exit(exit_code(report, strict=strict))


def show(session: Session, report: "Report", *, as_json: bool) -> None:
    """Print a health report on stdout."""
    from autosync_db.report import as_json as json_report
    from autosync_db.report import as_text

    if as_json:
        session.print_json(json_report.report(report))
    else:
        as_text.report(report, session.out, show_all=session.verbose)


def exit_code(report: "Report", *, strict: bool = False) -> ExitCode:
    """Return what the process ends with: only a report that proves health exits 0."""
    from autosync_db.checks.model import Status

    failing = {Status.CRITICAL, Status.UNKNOWN} | ({Status.WARNING} if strict else set())
    return ExitCode.CHECK_FAILED if report.status in failing else ExitCode.OK


@command(app, "explain")
def _explain(
    session: Session,
    id: Annotated[str | None, typer.Argument(help="Check to explain; without it the catalogue is listed.")] = None,
) -> None:
    """Print the page of a check: its claim, why it matters, how it looks, its query and its remedy."""
    from autosync_db import checks
    from autosync_db.report import as_text

    if id is None:
        catalogue = checks.catalogue()
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
                "query": checks.query(id) if check.look is None else None,
                "page": checks.page(id),
            }
        )
    elif session.out.is_terminal:
        from rich.markdown import Markdown

        session.out.print(Markdown(checks.page(id)))
    else:
        session.print_text(checks.page(id))
