"""A health report as Prometheus text, for a node exporter's textfile collector or a push gateway.

Metric names and labels are public API. Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from autosync_db.health.model import Report, Status


def report(found: Report) -> str:
    """Return the report as metrics: one series per check, job and status, 1 for the status it has.

    The label job is empty where a check, or the whole report, speaks of no single job.
    """
    target = _quote(found.target)
    job = _quote(found.jobs[0] if len(found.jobs) == 1 else "")
    lines = [
        "# HELP autosync_check_status Whether a check has this status (1) or not (0).",
        "# TYPE autosync_check_status gauge",
    ]
    for result in found.results:
        of_job = _quote(result.job) if result.job else job
        for status in Status:
            lines.append(
                f"autosync_check_status{{target={target},job={of_job},check={_quote(result.id)},"
                f'layer={_quote(result.check.layer)},status="{status.value}"}} {int(result.status is status)}'
            )
    lines += [
        "# HELP autosync_root_causes How many failing checks no other failing check explains.",
        "# TYPE autosync_root_causes gauge",
        f"autosync_root_causes{{target={target},job={job}}} {len(found.root_causes)}",
        "# HELP autosync_healthy Whether the chain is proven healthy (1) or not (0).",
        "# TYPE autosync_healthy gauge",
        f"autosync_healthy{{target={target},job={job}}} {int(found.status in {Status.OK, Status.WARNING})}",
        "# HELP autosync_checked_at_seconds When the checks were made, in seconds since 1970.",
        "# TYPE autosync_checked_at_seconds gauge",
        f"autosync_checked_at_seconds{{target={target},job={job}}} {found.checked_at.timestamp():.3f}",
    ]
    return "\n".join(lines) + "\n"


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
