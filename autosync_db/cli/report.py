"""`report`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import Jobs, command
from autosync_db.errors import UnreachableError, UsageError
from autosync_db.plain import counted

if TYPE_CHECKING:
    from autosync_db.health.history import History
    from autosync_db.health.model import Report
    from autosync_db.report.charts import Drawer

app = typer.Typer(add_completion=False)

_STDOUT = Path("-")


@command(app, "report")
def _report(
    session: Session,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the page to this file; `-` is stdout.", metavar="FILE")
    ] = None,
    job: Jobs = None,
    fail: Annotated[
        bool, typer.Option("--fail", help="Exit 3 when a check is critical or unknown, as verify does.")
    ] = False,
) -> None:
    """Write one page for a browser: the verdict, a week of every job's calls, what is next.

    The page needs no network and contains no secret; an older file of that name is replaced completely or not at all.
    Charts need the `report` extra; without it the page has tables. --format json prints the page's figures, with -o in
    addition to the page. Without --fail it exits 0 when the page is written, whatever it says; 4 if the server cannot
    be reached, which the page then says.
    """
    from concurrent.futures import ThreadPoolExecutor

    from autosync_db.health import composer, history, verify
    from autosync_db.report import charts

    if output is None and not session.is_json:
        raise UsageError("the page needs a file", hint="autosync-db report -o health.html; to stdout: -o -")
    if output == _STDOUT and session.is_json:
        raise UsageError("the page and its figures cannot both go to stdout", hint="name a file: -o health.html")
    configuration = session.configuration
    if output is not None:
        _require_place(output)
    with charts.Drawer(wanted=output is not None) as drawer, ThreadPoolExecutor(2) as beside:
        collecting = beside.submit(history.of, configuration, job or ())
        try:
            with composer.connected(configuration) as connection, session.progress("running the checks") as say:
                if output is not None:
                    # while the database works
                    beside.submit(_load_page)
                session.say_copy(connection)
                found = verify.run(connection, configuration, jobs=job or ())
                say("reading a week of history")
                past = collecting.result()
        except UnreachableError as error:
            _write(session, verify.unreachable(configuration, error, job or ()), None, output, drawer)
            raise
        _write(session, found, past, output, drawer)
    if fail:
        raise typer.Exit(found.exit_code())


def _load_page() -> None:
    """Load what makes the page, its templates too."""
    from autosync_db.report import as_html, figures  # noqa: F401 - the figures are made where the page is written

    as_html.template()


def _require_place(output: Path) -> None:
    """Raise UsageError for a file that cannot be, before anybody waits for it."""
    if output.is_dir():
        raise UsageError(f"{output} is a folder", hint=f"name a file in it: -o {output / 'health.html'}")


def _write(session: Session, report: "Report", past: "History | None", output: Path | None, drawer: "Drawer") -> None:
    """Print the figures, write the page, or both."""
    from datetime import UTC, datetime

    from autosync_db.report import as_html, figures

    found = figures.document(report, past, session.configuration, datetime.now(UTC))
    if output is not None:
        text = as_html.page(found, drawer)
        if output == _STDOUT:
            sys.stdout.write(text)
        else:
            session.save(output, text, hint="name another file: autosync-db report -o FILE")
            _say(session, output, text, found, drawer)
    if session.is_json:
        session.print_json(found)


def _say(session: Session, output: Path, text: str, found: dict[str, Any], drawer: "Drawer") -> None:
    size = len(text.encode()) / 1e6
    session.say(f"wrote {output} ({size:.2f} MB): {found['status']}, {counted(len(found['jobs']), 'job')}")
    if drawer.reason:
        session.say(f"no charts, their figures are in its tables: {drawer.reason}")
