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
        _Plan | None, typer.Option("--plan", help="Compare only with this plan; without it, with each.")
    ] = None,
    job: Jobs = None,
) -> None:
    """Estimate calls per month by job, compare them with the plan's quota, and show what would reduce them.

    Uses the last 30 days of this database's own ledger if it has a day of them or more; otherwise only the schedule:
    each row says which. A draining job's function calls another one for each schedule: those calls are counted as its
    answers say. Savings are computed from the real ticks.
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
