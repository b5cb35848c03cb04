"""Repairs as text and as JSON (docs/reference/schemas/repair.schema.json)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from autosync_db.health import repair
from autosync_db.health.model import Report, Status
from autosync_db.health.repair import Outcome, Plan, Proposal
from autosync_db.report import as_json

_STYLES = {
    "repaired": "green",
    "applied": "yellow",
    "not_needed": "green",
    "failed": "bold red",
    "skipped": "yellow",
    "needs_consent": "yellow",
}


def report_json(
    plan: Plan,
    *,
    planned: Sequence[Proposal] | None = None,
    outcomes: Sequence[Outcome] = (),
    health: Report | None = None,
) -> dict[str, Any]:
    """Return repairs in the shape that `repair --format json` promises; `planned` is what a dry run would do."""
    return {
        "schema_version": as_json.SCHEMA_VERSION,
        "dry_run": planned is not None,
        "repairs": [
            {
                "id": proposal.id,
                "job": proposal.job,
                "sentence": proposal.sentence,
                "destructive": proposal.destructive,
                "in_batches": proposal.in_batches,
                "state": "planned" if planned is not None and proposal in planned else _state(proposal, found, health),
                "rows": found.rows if found else None,
                "error": found.error if found else None,
                "hint": found.hint if found else None,
                "restores": list(proposal.restores),
                "sql": repair.script(proposal),
            }
            for proposal in plan.proposals
            for found in [_outcome(proposal, outcomes)]
        ],
        "refusals": [asdict(refused) for refused in plan.refusals],
        "verify": None if health is None else as_json.report(health),
    }


def report_text(plan: Plan, outcomes: Sequence[Outcome], health: Report, console: Console) -> None:
    """Print the result of each repair, and the repairs that still need consent."""
    for proposal in plan.proposals:
        found = _outcome(proposal, outcomes)
        state = _state(proposal, found, health)
        rows = f" ({found.rows} rows)" if found and found.rows is not None else ""
        of_job = f" ({proposal.job})" if proposal.job and len(health.jobs) > 1 else ""
        line = Text.assemble(
            (state.replace("_", " "), _STYLES[state]),
            "  ",
            (proposal.id, "bold"),
            f"{of_job}  {proposal.sentence}{rows}",
        )
        console.print(line, soft_wrap=True)
        if found and found.error:
            console.print(Text(f"  {found.error}"), soft_wrap=True)
            console.print(Text(f"  hint: {found.hint}", style="dim"), soft_wrap=True)
        elif state == "needs_consent":
            way = health.aim.at(f"autosync-db repair {proposal.id} --yes")
            console.print(Text(f"  hint: {way}", style="dim"), soft_wrap=True)
    if plan.proposals:
        console.print()


def _outcome(proposal: Proposal, outcomes: Sequence[Outcome]) -> Outcome | None:
    mine = (proposal.id, proposal.job, proposal.sentence)
    return next((done for done in outcomes if (done.id, done.job, done.sentence) == mine), None)


def _state(proposal: Proposal, found: Outcome | None, health: Report | None) -> str:
    results = health.results if health else ()
    is_healthy = any(
        result.status is Status.OK for result in results if (result.id, result.job) == (proposal.id, proposal.job)
    )
    if found is None:
        return "not_needed" if is_healthy else "needs_consent"
    if found.error:
        return "skipped" if found.skipped else "failed"
    return "repaired" if is_healthy else "applied"
