"""I: the schedules and the trigger that computes their next run."""

from autosync_db.health.model import Status
from tests.health.actions import (
    SCHEDULES,
    TRIGGER,
    claim,
    half_an_hour_away,
    overdue,
    schedule,
    sql,
    steps,
    tick,
    window,
)
from tests.health.faults.mode import AnyMode, Mode
from tests.support.health import Project

no_schedules = sql(f"delete from {SCHEDULES}")


def _window_between_ticks(project: Project) -> None:
    hourly = half_an_hour_away()
    minute = int(hourly.split()[0])
    project.schedule_job(hourly)
    start = (minute + 5) % 55
    if start <= minute <= start + 3:
        start = (start + 10) % 55
    window(f"08:{start:02}", f"08:{start + 3:02}")(project)


MODES: tuple[AnyMode, ...] = (
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
        sql(f"alter table {SCHEDULES} disable trigger {TRIGGER}"),
        says="is disabled, so next_run_at stands still",
        repairable=True,
    ),
    Mode(
        "I3",
        "the trigger fires for some columns alone",
        "schedule_trigger_enabled",
        sql(
            f"create or replace trigger {TRIGGER} before insert or update of enabled on {SCHEDULES}"
            " for each row execute function autosync.set_next_run_at()"
        ),
        says="does not fire for every insert and update",
        repairable=True,
    ),
    Mode(
        "I4",
        "the job ticks, and a schedule's next run never advances",
        "schedules_not_overdue",
        steps(overdue, tick, tick),
        says="1 schedules are due and were not run",
        undo=no_schedules,
    ),
    Mode(
        "I5",
        "a schedule's time zone is none",
        "schedule_windows_reachable",
        window("00:00", "23:59", "Paris"),
        says="the server knows no time zone 'Paris'",
        undo=no_schedules,
    ),
    Mode(
        "I6",
        "a schedule's time zone is an abbreviation without summer time",
        "schedule_windows_reachable",
        window("00:00", "23:59", "EST"),
        status=Status.WARNING,
        says="'EST', is an abbreviation or an offset",
        undo=no_schedules,
    ),
    Mode(
        "I10",
        "a time window lies between two ticks",
        "schedule_windows_reachable",
        _window_between_ticks,
        says="contains no tick of the job",
        undo=steps(no_schedules, Project.restore_job),
    ),
    Mode(
        "I12",
        "a claim has no end in sight",
        "claims_not_stuck",
        claim("now() - interval '90 minutes'", "now() + interval '10 years'"),
        simulated="the claim is written into the schedule",
        says="1 due schedules have been claimed for over an hour",
        repairable=True,
    ),
    Mode(
        "schedules_are_drained: no job drains",
        "a schedule is due, and no job drains",
        "schedules_are_drained",
        steps(overdue, sql("update autosync.job set drains = null")),
        says="UTC, and no job drains them",
        also=("settings_applied",),
        undo=steps(no_schedules, sql("update autosync.job set drains = 'auto_sync_schedules' where sql is null")),
    ),
)
