"""I: the schedules and the trigger that computes their next run."""

import time
import uuid

from autosync_db.health.model import Status
from tests.health.faults.mode import Action, Mode, sql, steps, tick
from tests.support.health import Project

_TRIGGER = "auto_sync_schedules_next_run_at"
_TABLE = "public.auto_sync_schedules"

no_schedules = sql(f"delete from {_TABLE}")


def schedule(**columns: object) -> Action:
    """Return what adds an enabled schedule as it is, past the trigger."""
    return lambda project: project.add_schedule(**columns)


def _window_of(zone: str) -> Action:
    return schedule(
        next_run_at="now() + interval '1 hour'",
        time_window_enabled=True,
        time_window_start="00:00",
        time_window_end="23:59",
        timezone=zone,
    )


def _window_between_ticks(project: Project) -> None:
    minute = (time.gmtime().tm_min + 30) % 60
    project.owner.execute("update autosync.job set schedule = %s", [f"{minute} * * * *"])
    project.owner.execute("select autosync.sync_job()")
    start = (minute + 5) % 55
    if start <= minute <= start + 3:
        start = (start + 10) % 55
    project.add_schedule(
        next_run_at="now() + interval '1 hour'",
        time_window_enabled=True,
        time_window_start=f"08:{start:02}",
        time_window_end=f"08:{start + 3:02}",
        timezone="UTC",
    )


MODES = (
    Mode(
        "I1",
        "an enabled schedule has no next run",
        "schedules_have_next_run",
        schedule(),
        says="1 enabled schedules have no next_run_at",
        repairable=True,
    ),
    Mode(
        "I2",
        "the trigger is disabled",
        "schedule_trigger_enabled",
        sql(f"alter table {_TABLE} disable trigger {_TRIGGER}"),
        says="is disabled, so next_run_at stands still",
        repairable=True,
    ),
    Mode(
        "I3",
        "the trigger fires for some columns alone",
        "schedule_trigger_enabled",
        sql(
            f"create or replace trigger {_TRIGGER} before insert or update of enabled on {_TABLE}"
            " for each row execute function autosync.set_next_run_at()"
        ),
        says="does not fire for every insert and update",
        repairable=True,
    ),
    Mode(
        "I4",
        "the job ticks, and a schedule's next run never advances",
        "schedules_not_overdue",
        steps(schedule(next_run_at="now() - interval '100 days'"), tick, tick),
        says="1 schedules are due and were not run",
        mend=no_schedules,
    ),
    Mode(
        "I5",
        "a schedule's time zone is none",
        "schedule_windows_reachable",
        _window_of("Paris"),
        says="the server knows no time zone 'Paris'",
        mend=no_schedules,
    ),
    Mode(
        "I6",
        "a schedule's time zone is an abbreviation without summer time",
        "schedule_windows_reachable",
        _window_of("EST"),
        status=Status.WARNING,
        says="'EST', is an abbreviation or an offset",
        mend=no_schedules,
    ),
    Mode(
        "I10",
        "a time window lies between two ticks",
        "schedule_windows_reachable",
        _window_between_ticks,
        says="contains no tick of the job",
        mend=steps(no_schedules, Project.restore_job),
    ),
    Mode(
        "I12",
        "a claim has no end in sight",
        "claims_not_stuck",
        lambda project: project.add_schedule(
            next_run_at="now() - interval '2 hours'",
            claim_id=uuid.uuid4(),
            claimed_at="now() - interval '90 minutes'",
            claim_expires_at="now() + interval '10 years'",
        ),
        simulated="the claim is written into the schedule",
        says="1 due schedules have been claimed for over an hour",
        repairable=True,
    ),
)
