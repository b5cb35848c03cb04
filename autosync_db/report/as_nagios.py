"""A health report as a Nagios plugin prints it: one line, performance data, and the plugin exit codes 0 to 3.

Rules: https://www.monitoring-plugins.org/doc/guidelines.html
"""

from autosync_db.health.model import Report, Status

EXIT_CODES = {Status.OK: 0, Status.WARNING: 1, Status.CRITICAL: 2, Status.UNKNOWN: 3}


def report(found: Report) -> str:
    """Return the plugin's output: the worst root cause on the first line, the others below it."""
    counts = {status: sum(result.status is status for result in found.rows) for status in Status}
    performance = " ".join(f"{status.value}={count}" for status, count in counts.items())
    roots = [f"{result.id}{found.of_job(result)}: {result.verdict.summary}" for result in found.root_causes]
    notes = [result.verdict.summary for result in found.notes]
    headline = roots[0] if roots else "; ".join([f"{len(found.by_check)} checks", *notes])
    lines = [f"AUTOSYNC {found.status.value.upper()} - {_clean(headline)} | {performance}"]
    lines += [_clean(line) for line in roots[1:]]
    return "\n".join(lines) + "\n"


def unknown(message: str, hint: str) -> str:
    """Return the plugin's output where no check could be made, as with settings that cannot be read."""
    return f"AUTOSYNC {Status.UNKNOWN.value.upper()} - {_clean(message)}\n{_clean(hint)}\n"


def _clean(text: str) -> str:
    # a bar begins the performance data
    return text.replace("|", "/").replace("\n", " ")
