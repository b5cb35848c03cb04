"""`cost`."""

from enum import StrEnum
from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import Jobs, command

app = typer.Typer(add_completion=False)


class _Plan(StrEnum):
    FREE = "free"
    PRO = "pro"


@command(app, "cost")
def _cost(
    session: Session,
    plan: Annotated[
        _Plan | None, typer.Option("--plan", help="Compare with this plan alone; without it, with each.")
    ] = None,
    job: Jobs = None,
) -> None:
    """Count the calls of a month by job, beside the plan's quota, and what would save some.

    By the last 30 days of this database's own ledger, where it has a day of them or more; else by the schedule alone:
    each row says which. A draining job's function calls another one for each schedule: those calls are counted as its
    answers say. What a change would have saved is found on the ticks that there were.
    """
    from autosync_db.connection import connect
    from autosync_db.jobs import cost
    from autosync_db.report import costs

    configuration = session.configuration
    plans = (plan.value,) if plan else tuple(cost.PLANS)
    with connect(configuration.target.database_url) as connection:
        found = cost.collect(connection, configuration.settings, job or (), plans)
    if session.is_json:
        session.print_json(costs.document(found, configuration.target.name))
    else:
        costs.show(found, session.out)
