"""What happens in a project as lines: for people and logs, or as JSON for programs (docs/reference/schemas)."""

import json
from typing import Any

from autosync_db.config import duration
from autosync_db.health.picture import Back, Event, Gone, Judged, Ran, Settled
from autosync_db.plain import clean
from autosync_db.report import as_json
from autosync_db.report.watch.words import outcome, rfc3339

_ROOTS = 3


def text(event: Event) -> str:
    """Return an event as a line that begins with its time in RFC 3339."""
    match event:
        case Settled(call=call):
            word, _ = outcome(call)
            said = f"call {call.id} of {call.job}: {word}, {call.account}"
        case Ran(job=one):
            message = f", {one.last_run_message}" if one.last_run_message else ""
            said = f"run of {one.job.name}: {one.last_run_status}{message}"
        case Judged(report=report):
            roots = report.root_causes
            named = [f"{root.id}{report.of_job(root)}" for root in roots[:_ROOTS]]
            more = [f"and {len(roots) - _ROOTS} more"] if len(roots) > _ROOTS else []
            said = f"verdict {report.status.value}" + (f": {', '.join([*named, *more])}" if named else "")
            if roots and (remedy := roots[0].remedy):
                said += f"; remedy: {remedy}"
        case Gone(lost=lost):
            said = f"{lost.sentence}: {lost.failure.message}"
        case Back():
            said = f"{event.place} answers again, after {duration.describe(event.after)}"
    return f"{rfc3339(event.at)} {clean(said)}"


def as_object(event: Event) -> dict[str, Any]:
    """Return an event in the shape that `watch --format json` promises for a line."""
    line: dict[str, Any] = {"schema_version": as_json.SCHEMA_VERSION, "at": rfc3339(event.at)}
    match event:
        case Settled(call=call):
            return {**line, "event": "call", "word": outcome(call)[0], "call": call}
        case Ran(job=one):
            ran = {"job": one.job.name, "at": one.last_run_at, "status": one.last_run_status}
            return {**line, "event": "run", "run": {**ran, "message": one.last_run_message}}
        case Judged(report=report):
            return {**line, "event": "verdict", **_verdict(as_json.report(report))}
        case Gone(lost=lost):
            return {**line, "event": "lost", "message": lost.failure.message, "hint": lost.failure.hint}
        case Back():
            return {**line, "event": "back", "seconds": event.after.total_seconds()}


def _verdict(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report without the checks that are healthy, or explained by others."""
    failing = [check for check in report["checks"] if check["status"] not in {"ok", "blocked"}]
    return {**{name: value for name, value in report.items() if name != "schema_version"}, "checks": failing}


def as_line(event: Event) -> str:
    """Return an event as JSON on one line."""
    found = json.loads(as_json.dumps(as_object(event)))
    # in ASCII, so that no character ends the line for some reader
    return json.dumps(found)
