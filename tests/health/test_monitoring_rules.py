"""The alerting rules of the kit on texts that verify printed: each fault has its alert, what is healthy has none."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autosync_db.config import Settings, TargetSettings
from autosync_db.health import verify
from autosync_db.report import as_prometheus
from autosync_db.secret import Secret
from tests.health.actions import Action, admin, answers, claim, pause, sql, steps, tick, waiting_call
from tests.health.faults.catalogue import ALL
from tests.health.faults.mode import chosen
from tests.support import command, keys, promtool, trial
from tests.support.health import LiveProject, Project
from tests.support.promtool import State
from tests.support.trial import Trial

# what verify prints of a fault, and what the rules make of it, is the same on every version
pytestmark = pytest.mark.one_version

_TOOK_LONG = {"ok": True, "duration_ms": 28000}
_TOOK_HALF = {"ok": True, "duration_ms": 15000}


_STOPPED = {
    "exp_labels": {
        "severity": "critical",
        "target": "default",
        "cron_job": "auto-sync-cron-job",
        "check_id": "job_active",
        "command": "autosync-db repair job_active",
    },
    "exp_annotations": {
        "summary": "autosync-db: ticks of auto-sync-cron-job do not come or fail on default (job_active)",
        "description": "pg_cron does not run the job as it should, so nothing is called.",
        "command": "autosync-db repair job_active --target default",
    },
}


def printed(project: Trial, role: str = "postgres") -> str:
    """Return what verify prints for Prometheus."""
    project.session.execute("select pg_stat_clear_snapshot()")
    report = verify.run(project.acting_as(role), project.configuration, with_work=True)
    text = as_prometheus.report(report)
    promtool.check_metrics(text)
    return text


def _some_refused(project: Project) -> None:
    answers(403, {"error": "forbidden"}, ticks=4)(project)
    answers(200, ticks=2)(project)


def _one_refused(project: Project) -> None:
    answers(200, ticks=3)(project)
    answers(403, {"error": "forbidden"})(project)
    answers(200)(project)


def _no_call_comes(project: Project) -> None:
    project.schedule_job("*/5 * * * *")
    project.owner.execute("update autosync.invocation set queued_at = now() - interval '2 hours'")
    project.owner.execute("update autosync.tick set ticked_at = now() - interval '1 minute'")


def _two_jobs(project: Project) -> None:
    """Let there be a second job, and verify speak of all that are registered."""
    project.add_job("nightly")


def _calls_when_due(project: Project) -> None:
    project.set_job(schedule="*/5 * * * *", invoke="when_due")
    tick(project)
    project.owner.execute("update autosync.invocation set queued_at = now() - interval '2 hours'")


def _waits_behind_others(project: Project) -> None:
    project.set_job(timeout="10m")
    waiting_call("8 minutes")(project)


def _old_secret(project: Project) -> None:
    project.set_job(auth="cron_secret")
    project.store(cron_secret=keys.secret())
    project.owner.execute(
        "insert into autosync.setting (name, value)"
        " values ('function_auth', jsonb_build_object('auto-sync-cron-job', 'cron_secret'))"
    )
    project.owner.execute(
        "update public.pg_cron_secrets set updated_at = now() - interval '2 years' where name <> 'service_role_key'"
    )
    tick(project)


def _paused_since(age: str) -> Action[Project]:
    return steps(
        pause, sql(f"update autosync.job set paused_at = now() - interval '{age}' where paused_at is not null")
    )


def _of(id: str) -> Action[Any]:
    [mode] = chosen(ALL, id)
    return mode.inject


# what is done to a healthy project, and which alert it must come to; those of letters are modes of the catalogue
FAULTS: dict[str, tuple[Action[Any], str]] = {
    "C2": (_of("C2"), "AutosyncJobStopped"),
    "H5": (_of("H5"), "AutosyncCallsFailing"),
    "E1": (_of("E1"), "AutosyncSecretUnusable"),
    "F1": (_of("F1"), "AutosyncCallsNotSent"),
    "I4": (_of("I4"), "AutosyncSchedulesOverdue"),
    "P13a": (_of("P13a"), "AutosyncAlertsUndelivered"),
    "K1": (_of("K1"), "AutosyncCheckWarning"),
    "J1": (_of("J1"), "AutosyncCheckCritical"),
    "C11": (_of("C11"), "AutosyncCheckUnknown"),
    "P13c: a receiver of nothing is a warning": (_of("P13c"), "AutosyncCheckWarning"),
    "housekeeping is gone": (sql("select cron.unschedule('autosync-keep-house')"), "AutosyncHousekeepingStopped"),
    "the function takes nearly all of its time": (answers(200, _TOOK_LONG), "AutosyncJobSlow"),
    "every other call is refused": (_some_refused, "AutosyncCallsUnsteady"),
    "the job was paused two days ago": (_paused_since("2 days"), "AutosyncJobPaused"),
    "ticks come and no call": (_no_call_comes, "AutosyncNoSuccess"),
    "one of two jobs is refused": (steps(_two_jobs, _of("H5")), "AutosyncCallsFailing"),
    "ticks of one of two jobs come and no call": (steps(_no_call_comes, _two_jobs), "AutosyncNoSuccess"),
    "a call waits behind others": (_waits_behind_others, "AutosyncQueueStands"),
    "a secret is two years old": (_old_secret, "AutosyncSecretOld"),
    # what cannot be looked at follows from that
    "the table of messages is gone": (
        admin("alter table autosync.alert rename to alert_elsewhere"), "AutosyncCheckCritical",
    ),
}  # fmt: skip
HEALTHY: dict[str, Action[Any]] = {
    "nothing was done": lambda project: None,
    "a second job is called at night": _two_jobs,
    "the job was paused an hour ago": _paused_since("1 hour"),
    "the function takes half of its time": answers(200, _TOOK_HALF),
    "one call of many was refused": _one_refused,
    "nothing is due, so no call is made": _calls_when_due,
    "a schedule is being worked on": claim("now() - interval '1 minute'", "now() + interval '10 minutes'"),
}


def _role(id: str) -> str:
    return next((mode.role for mode in ALL if mode.id == id), "postgres")


def _state(untouched: LiveProject, name: str, act: Callable[[Trial], object], *fires: str) -> State:
    with trial.begun(untouched) as project:
        act(project)
        return State(name, printed(project, _role(name)), frozenset(fires))


def test_a_fault_fires_its_alert_and_what_is_healthy_none(untouched: LiveProject, tmp_path: Path) -> None:
    healthy = _state(untouched, "healthy", lambda project: None)
    refused = _state(untouched, "H5", _of("H5"), "AutosyncCallsFailing")
    stopped = dataclasses.replace(_state(untouched, "C2", _of("C2"), "AutosyncJobStopped"), alert=_STOPPED)
    dead = State("nothing writes any more", healthy.text, frozenset({"AutosyncMetricsStale"}), is_written_once=True)
    never = State("nothing ever wrote", "", frozenset({"AutosyncMetricsAbsent"}))
    # no role lacks one part alone and no check says so: the line is ours
    unread = healthy.text.replace('part="queue"} 1', 'part="queue"} 0')
    hidden = State("a part is unread", unread, frozenset({"AutosyncSeriesUnread"}))
    promtool.check_rules(
        [healthy, refused, stopped, dead, never, hidden], tmp_path, Settings(targets={"default": TargetSettings()})
    )


@pytest.mark.long
def test_each_fault_fires_exactly_its_alert(untouched: LiveProject, tmp_path: Path) -> None:
    states = [_state(untouched, name, act, alert) for name, (act, alert) in FAULTS.items()]
    unreachable = command.run(
        "verify", "--format", "prometheus", database=Secret("postgresql://postgres@127.0.0.1:1/postgres")
    )
    assert unreachable.code == 4
    promtool.check_metrics(unreachable.out)
    states.append(State("the server is down", unreachable.out, frozenset({"AutosyncDatabaseUnreachable"})))
    promtool.check_rules(states, tmp_path)


@pytest.mark.long
def test_what_resembles_a_fault_fires_nothing(untouched: LiveProject, tmp_path: Path) -> None:
    promtool.check_rules([_state(untouched, name, act) for name, act in HEALTHY.items()], tmp_path)
