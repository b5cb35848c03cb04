"""What the jobs cost, as text and as JSON (docs/reference/schemas/cost.schema.json)."""

from typing import Any

from rich.console import Console

from autosync_db.config import duration
from autosync_db.jobs.cost import Cost, JobCost
from autosync_db.report import as_json, as_text


def document(found: Cost, target: str) -> dict[str, Any]:
    """Return the shape that `cost --format json` promises."""
    return {
        "schema_version": as_json.SCHEMA_VERSION,
        "target": target,
        "jobs": found.jobs,
        "billed": found.billed,
        "quotas": found.quotas,
        "has_ledger": found.has_ledger,
        "source": found.source,
        "as_of": found.as_of,
        "notes": found.notes,
    }


def show(found: Cost, console: Console) -> None:
    """Print a row per job, then what would save calls, the sum beside the quotas, and what the figures are."""
    rows = [
        (job.name, job.schedule or "", f"{job.calls:,}", _extra(job), _basis(job))
        for job in found.jobs
        if job.by_schedule is not None or job.ledger is not None
    ]
    as_text.table(("job", "schedule", "calls a month", "schedules", "by"), rows, console)
    for job in found.jobs:
        for note in job.notes:
            console.print(f"{job.name}: {note}", markup=False, soft_wrap=True)
        for one in job.savings:
            waits = f"; a schedule waits up to {duration.describe(one.waits)} longer" if one.waits else ""
            text = f"{job.name}: {one.change} would have made it {one.calls:,}, {one.saves:,} fewer{waits}"
            console.print(text, markup=False, soft_wrap=True)
    console.print()
    console.print(f"billed: {found.billed:,} calls of Edge Functions a month", markup=False, soft_wrap=True)
    for quota in found.quotas:
        text = f"{quota.plan.name}: {quota.share:.1%} of {quota.plan.included:,}"
        if quota.over:
            text += f", {quota.over:,} too many"
            text += f": {quota.over_usd:.2f} USD" if quota.over_usd is not None else ""
        console.print(text, markup=False, soft_wrap=True)
    for note in found.notes:
        console.print(note, markup=False, soft_wrap=True)
    console.print(
        "Failed calls count as well. A quota is for all projects of an organization and for all callers, of which this"
        f" database knows its jobs alone. Quotas: {found.source} (as of {found.as_of})",
        markup=False,
        soft_wrap=True,
        style="dim",
    )


def _extra(job: JobCost) -> str:
    return f"{job.schedules:,}" if job.schedules is not None else ""


def _basis(job: JobCost) -> str:
    if job.basis == "ledger" and job.ledger is not None:
        return f"ledger of {job.ledger.days:.0f} days"
    return "schedule"
