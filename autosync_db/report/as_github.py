"""A health report for GitHub Actions: annotations on the run, and a job summary in Markdown.

Commands: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

import re

from autosync_db.health.model import CheckResult, Report, Status

_LEVELS = {Status.CRITICAL: "error", Status.UNKNOWN: "error", Status.WARNING: "warning"}


def annotations(found: Report) -> str:
    """Return one workflow command per root cause, and a notice when there is none."""
    if not found.root_causes:
        notes = "".join(f"; {result.verdict.summary}" for result in found.notes)
        return (
            f"::notice title=autosync-db verify::{len(found.by_check)} checks, the chain is healthy{_escape(notes)}\n"
        )
    return "".join(_annotation(result, found) for result in found.root_causes)


def summary(found: Report) -> str:
    """Return the report as Markdown, for the file that GITHUB_STEP_SUMMARY names."""
    lines = [
        f"## autosync-db verify: {found.status.value}",
        "",
        _plain(f"{found.subject} on target {found.target}"),
        "",
    ]
    if found.root_causes:
        lines += ["| status | root cause | what was seen | remedy |", "| --- | --- | --- | --- |"]
        for result in found.root_causes:
            cells = (
                result.status.value,
                f"`{result.id}`{_plain(found.of_job(result))}",
                _plain(result.verdict.summary),
                _plain(result.remedy or ""),
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    blocked = dict.fromkeys(f"`{result.id}`" for result in found.results if result.status is Status.BLOCKED)
    if blocked:
        lines += [f"Explained by these: {', '.join(blocked)}.", ""]
    lines.append(f"{len(found.healthy)} of {len(found.by_check)} checks are ok.")
    return "\n".join(lines) + "\n"


def _annotation(result: CheckResult, found: Report) -> str:
    remedy = f"\nremedy: {result.remedy}" if result.remedy else ""
    title = f"{result.id}{_escape(found.of_job(result)).replace(':', '%3A').replace(',', '%2C')}"
    return f"::{_LEVELS[result.weight]} title={title}::{_escape(result.verdict.summary + remedy)}\n"


def _plain(text: str) -> str:
    """Return a text as Markdown for itself: names of a database may hold links, images and HTML."""
    return re.sub(r"[\r\n]+", " ", re.sub(r"([\\`|<>\[\]@])", r"\\\1", text))


def _escape(text: str) -> str:
    # the command's own escapes: a value may not end the line early
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
