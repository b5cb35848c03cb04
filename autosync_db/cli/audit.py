"""`audit`."""

from enum import StrEnum
from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command


class AuditFormat(StrEnum):
    """How an audit is printed."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"


app = typer.Typer(add_completion=False)


@command(app, "audit")
def _audit(
    session: Session,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 3 for warnings, too.")] = False,
    format: Annotated[
        AuditFormat, typer.Option(help="How the audit is printed; sarif is for code scanning.")
    ] = AuditFormat.TABLE,
) -> None:
    """Show what each cron job of a database calls, whether it works, and if not, why.

    Needs nothing installed there and no autosync.toml, reads in one read-only transaction, and leaves nothing behind.
    pg_net does not record which job an answer belongs to; answers matched by time are marked. Exits 3 when a job fails.
    """
    from autosync_db.connection import connect
    from autosync_db.errors import ExitCode
    from autosync_db.health import audit
    from autosync_db.health.model import Status
    from autosync_db.report import audited

    target = session.configuration.target
    with connect(target.database_url) as connection, session.progress("reading the jobs"):
        found = audit.run(connection, target.name)
    if format is AuditFormat.JSON:
        session.print_json(audited.as_json(found))
    elif format is AuditFormat.SARIF:
        session.print_json(audited.sarif(found, session.configuration.source))
    else:
        onward = session.configuration.aim.at(audited.NEXT)
        audited.text(found, session.out, onward, show_all=session.verbose)
    if found.status is Status.CRITICAL or (strict and found.status is not Status.OK):
        raise typer.Exit(ExitCode.CHECK_FAILED)
