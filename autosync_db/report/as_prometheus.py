"""A health report as Prometheus text, for a node exporter's textfile collector or a push gateway.

Metric names and labels are public API. Format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable, Iterator, Mapping

from autosync_db.health.model import Report, Status
from autosync_db.health.ticks import moment
from autosync_db.health.work import PARTS, JobWork, Work
from autosync_db.jobs.calls import Cause

# what was measured of the jobs (health.work): name, without the prefix, and meaning. All are gauges: the ledger is
# pruned, so no count in it only grows, and a counter that falls would be read as one that began again
SERIES = {
    "check_failing": "A failing check that no other one explains, with its status and what ends it; absent if none is.",
    "readable": "Whether this part of the series could be read (1) or not (0).",
    "job_expected": "Whether ticks of the job are to come (1), or it is paused, inactive or off (0).",
    "job_when_due": "Whether a tick of the job makes a call only while something is due (1) or always (0).",
    "job_paused_timestamp_seconds": "Since when the job is paused, in seconds since 1970; absent while it is not.",
    "job_interval_seconds": "The longest of the next times between two ticks of the job.",
    "job_timeout_seconds": "How long an answer to a call of the job may take.",
    "job_last_tick_timestamp_seconds": "When the job ticked last, in seconds since 1970.",
    "job_last_success_timestamp_seconds": (
        "When the newest call that succeeded was made, or the newest successful run of a statement ended, in seconds"
        " since 1970; absent when none is known."
    ),
    "job_failures_in_a_row": "How many of the newest calls, or runs of a statement, failed since the last success.",
    "job_calls_last_hour": "Calls of the job made in the last hour, by what became of them, at most the newest 4000.",
    "job_runs_last_hour": "Runs of the job by pg_cron in the last hour, by how they ended there.",
    "job_last_duration_seconds": "How long the newest call took by the function's own report, or the newest run.",
    "job_longest_duration_seconds": "How long the longest call of the last hour took by the function's own report.",
    "job_overdue_schedules": "Schedules that are due for too long and not being worked on, at most 1000.",
    "job_oldest_overdue_timestamp_seconds": "Since when the oldest overdue schedule is due, in seconds since 1970.",
    "due_schedules": "Schedules that are due and not claimed, at most 10000.",
    "queued_requests": "Requests in pg_net's queue, of whomever, at most 10000.",
    "oldest_queued_age_seconds": "How long the oldest call of a job has waited in pg_net's queue; 0 when none waits.",
    "housekeeping_last_run_timestamp_seconds": "When housekeeping last ran to its end, in seconds since 1970.",
    "secret_changed_timestamp_seconds": "Since when a secret that calls or receivers need is stored as it is.",
    "alerts_undelivered": "Messages and heartbeats that did not reach their receiver since the last that did.",
}
_RUNS = ("succeeded", "failed", "under_way")
# labels and value
_Sample = tuple[dict[str, str], float | None]


def report(found: Report) -> str:
    """Return the report as metrics: one series per check, job and status, 1 for the status it has; then what was done.

    The label job is empty where a check, or the whole report, speaks of no single job. A server that scrapes puts a
    label job of its own in its place, so what came later has the name of the cron job as cron_job.
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
    lines += _families(found.target, _samples(found))
    return "\n".join(lines) + "\n"


def _families(target: str, samples: Iterable[tuple[str, _Sample]]) -> Iterator[str]:
    """Yield the lines of each series that has a value, below its meaning."""
    by_name: dict[str, list[tuple[dict[str, str], float]]] = {}
    for name, (labels, value) in samples:
        if value is not None:
            by_name.setdefault(name, []).append((labels, value))
    for name, meaning in SERIES.items():
        if name not in by_name:
            continue
        yield f"# HELP autosync_{name} {meaning}"
        yield f"# TYPE autosync_{name} gauge"
        for labels, value in by_name[name]:
            shown = ",".join(f"{key}={_quote(text)}" for key, text in ({"target": target} | labels).items())
            yield f"autosync_{name}{{{shown}}} {_number(value)}"


def _samples(found: Report) -> Iterator[tuple[str, _Sample]]:
    only = found.jobs[0] if len(found.jobs) == 1 else ""
    for result in found.root_causes:
        labels = {
            "cron_job": result.job or only,
            "check_id": result.id,
            "layer": result.check.layer,
            "status": result.status.value,
            "command": result.check.command(result.id),
        }
        yield "check_failing", (labels, 1)
    if found.work is None:
        return
    yield from _overdue(found)
    for job in found.work.jobs:
        yield from _of_job(job)
    yield from _of_database(found.work)


def _overdue(found: Report) -> Iterator[tuple[str, _Sample]]:
    """Yield what the check of the overdue schedules counted: it reads more than anything else, and once is enough."""
    for result in found.results:
        if result.id != "schedules_not_overdue" or result.verdict.status is Status.UNKNOWN or result.job is None:
            continue
        facts = [item.facts for item in result.verdict.evidence if "count" in item.facts]
        labels = {"cron_job": result.job}
        yield "job_overdue_schedules", (labels, sum(int(fact["count"]) for fact in facts))
        for fact in facts:
            since = moment(fact["since"])
            yield "job_oldest_overdue_timestamp_seconds", (labels, since.timestamp() if since else None)


def _of_job(job: JobWork) -> Iterator[tuple[str, _Sample]]:
    values = {
        "job_expected": job.is_expected,
        "job_when_due": job.is_when_due,
        "job_paused_timestamp_seconds": job.paused_at,
        "job_interval_seconds": job.interval,
        "job_timeout_seconds": job.timeout,
        "job_last_tick_timestamp_seconds": job.last_tick_at,
        "job_last_success_timestamp_seconds": job.last_success_at,
        "job_failures_in_a_row": job.failures_in_a_row,
        "job_last_duration_seconds": job.last_duration,
        "job_longest_duration_seconds": job.longest_duration,
    }
    labels = {"cron_job": job.name}
    for name, value in values.items():
        yield name, (labels, value)
    yield from _counted("job_calls_last_hour", labels, "cause", [cause.value for cause in Cause], job.calls)
    yield from _counted("job_runs_last_hour", labels, "status", _RUNS, job.runs)


def _counted(
    name: str, labels: dict[str, str], kind: str, kinds: Iterable[str], counts: Mapping[str, int] | None
) -> Iterator[tuple[str, _Sample]]:
    """Yield one series per kind, 0 too: a series that comes and goes has no history."""
    if counts is not None:
        for one in kinds:
            yield name, (labels | {kind: one}, counts.get(one, 0))


def _of_database(work: Work) -> Iterator[tuple[str, _Sample]]:
    for part in PARTS:
        yield "readable", ({"part": part}, part not in work.unread)
    yield "due_schedules", ({}, work.schedules_due)
    yield "queued_requests", ({}, work.queued)
    yield "oldest_queued_age_seconds", ({}, work.oldest_queued_age)
    yield "housekeeping_last_run_timestamp_seconds", ({}, work.housekeeping_at)
    for name, changed_at in work.secrets_changed_at.items():
        yield "secret_changed_timestamp_seconds", ({"secret": name}, changed_at)
    yield "alerts_undelivered", ({}, work.alerts_undelivered)


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(int(value))


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
