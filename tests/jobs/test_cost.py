"""`cost`: calls a month by the ledger or by the schedule, whichever is said, and what a change would have saved."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest

from autosync_db.config import GUIDE_JOB, JobSettings, Settings
from autosync_db.jobs import cost
from autosync_db.jobs.cost import JobCost
from autosync_db.local.cluster import Cluster
from tests.support import clusters, command

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "cost.schema.json").read_text())
# ten days of ticks every five minutes; at every fourth tick three schedules are due, at every hundredth 120
TICKS = 10 * 288
LEDGER = """
with ticked as (
    insert into autosync.tick (job_id, ticked_at, caller, due, decision)
    select j.id, now() - n * interval '5 min', 'pg_cron',
        case when n % 100 = 0 then 120 when n % 4 = 0 then 3 else 0 end, 'posted'
    from autosync.job as j
    cross join generate_series(1, 2880) as n
    where j.name = 'auto-sync-cron-job'
    returning id, job_id, ticked_at, due
)
insert into autosync.invocation (
    tick_id, job_id, request_id, queued_at, timeout_milliseconds, settled_at, outcome, counts
)
select t.id, t.job_id, t.id, t.ticked_at, 30000, t.ticked_at,
    case when t.due = 120 then 'failed' else 'ok' end,
    -- a function may say anything of itself
    case when t.due = 120 then '{"claimed": "many"}'
        else jsonb_build_object('claimed', t.due + 1, 'unstarted', 1) end
from ticked as t
-- 120 are three batches
cross join lateral generate_series(1, case when t.due = 120 then 3 else 1 end)
"""
CALLS = TICKS + 2 * (TICKS // 100)


def of(connection: psycopg.Connection[Any], settings: Settings | None = None, name: str = GUIDE_JOB) -> JobCost:
    """Return what a job costs."""
    return next(job for job in cost.collect(connection, settings or Settings()).jobs if job.name == name)


def a_month(count: int, days: float = 10) -> int:
    """Return what a count of some days is in a twelfth of a year."""
    return round(count * 365 / 12 / days)


def test_without_a_ledger_the_schedule_alone_is_counted_and_that_is_said(blank: Cluster) -> None:
    settings = Settings.model_validate(
        {"jobs": {
            "daily": {"function": "daily", "schedule": "0 6 * * *", "retry": {"attempts": 3}},
            "drain": {"function": "sync", "schedule": "*/5 * * * *", "drains": "auto_sync_schedules"},
            "careful": {
                "function": "sync/b", "schedule": "* * * * *", "drains": "auto_sync_schedules", "invoke": "when_due",
            },
            "elsewhere": {"url": "https://example.com/in", "schedule": "0 * * * *", "auth": "none"},
            "tidy": {"sql": "select 1", "schedule": "* * * * *"},
            "off": {"function": "off", "schedule": "* * * * *", "enabled": False},
        }}
    )  # fmt: skip
    with clusters.connect(blank) as connection:
        found = cost.collect(connection, settings)
    assert not found.has_ledger
    assert found.notes == ("there is no ledger yet: everything is by the schedule alone",)
    jobs = {job.name: job for job in found.jobs}
    assert {job.basis for job in found.jobs} == {"schedule"}
    ranges = {name: job.by_schedule and (job.by_schedule.least, job.by_schedule.most) for name, job in jobs.items()}
    assert ranges == {
        "daily": (30, 90), "drain": (8760, 35040), "careful": (0, 4 * 43800), "elsewhere": (730, 730), "tidy": None,
        "off": (43800, 43800),
    }  # fmt: skip
    assert (jobs["off"].calls, jobs["tidy"].calls, jobs["elsewhere"].billed) == (0, 0, False)
    assert found.billed == 30 + 8760
    free, pro = found.quotas
    assert (free.plan.included, pro.plan.included, free.over, pro.over_usd) == (500_000, 2_000_000, 0, 0)

    said = command.succeeds(command.run("cost", "--plan", "free", database=blank.url()))
    assert "by the schedule alone" in said.out
    assert cost.SOURCE in said.out
    assert "pro:" not in said.out


def test_a_job_that_the_role_does_not_see_is_not_taken_for_one_that_makes_no_calls(
    transaction: psycopg.Connection[Any],
) -> None:
    transaction.execute("select autosync.sync_job(%s)", [GUIDE_JOB])
    transaction.execute(
        "create role plain; grant pg_read_all_data to plain; grant plain to postgres; set local role plain"
    )
    job = cost.collect(transaction, Settings(), [GUIDE_JOB]).jobs[0]
    assert job.calls > 0
    assert job.notes[-1].endswith("does not see whether it is scheduled: counted as if it were")
    transaction.execute("reset role; select cron.unschedule(c.jobid) from cron.job as c")
    job = cost.collect(transaction, Settings(), [GUIDE_JOB]).jobs[0]
    assert (job.calls, job.notes[-1]) == (0, "not scheduled: makes no calls now")


def test_the_ledger_counts_what_was_called_and_what_the_function_called(transaction: psycopg.Connection[Any]) -> None:
    transaction.execute(LEDGER)
    # what is older, and what is younger than a day, says nothing of a month
    transaction.execute(
        "insert into autosync.invocation (job_id, request_id, queued_at, timeout_milliseconds)"
        " select j.id, 1, now() - interval '31 days', 1000 from autosync.job as j"
    )
    found = of(transaction)
    assert found.basis == "ledger"
    ledger = found.ledger
    assert ledger is not None
    claimed = 3 * (TICKS // 4 - TICKS // 100)
    assert (ledger.ticks, ledger.calls, ledger.schedules) == (TICKS, CALLS, claimed)
    assert (ledger.failed, ledger.counted) == (3 * (TICKS // 100), TICKS - TICKS // 100)
    assert (found.calls, found.schedules) == (a_month(CALLS), a_month(claimed))
    assert found.notes == (f"{ledger.counted:,} of {CALLS:,} answers say how many schedules they claimed",)
    assert cost.collect(transaction, Settings()).billed == found.calls + (found.schedules or 0)

    transaction.execute("update autosync.invocation set counts = null")
    assert of(transaction).schedules is None
    transaction.execute("update autosync.job set paused_at = now(), paused_by = 'somebody'")
    paused = of(transaction)
    assert (paused.calls, paused.savings) == (0, ())
    assert paused.notes[-1] == "paused by somebody: makes no calls now"
    transaction.execute("update autosync.job set paused_at = null")
    transaction.execute("delete from autosync.tick where ticked_at < now() - interval '23 hours'")
    assert of(transaction).basis == "schedule"


def test_what_a_change_would_have_saved_is_found_on_the_ticks_that_there_were(
    transaction: psycopg.Connection[Any],
) -> None:
    transaction.execute(LEDGER)
    transaction.execute("update autosync.job set schedule = '*/5 * * * *' where drains is not null")
    # a call that somebody asked for is made anyway
    transaction.execute(
        "update autosync.tick set caller = 'autosync-db 0.1' where due = 0 and ticked_at > now() - interval '16 min'"
    )
    savings = {one.change: one for one in of(transaction).savings}
    idle = TICKS - TICKS // 4 - 3
    assert savings['invoke = "when_due"'].saves == a_month(idle)
    hourly = savings['schedule = "0 * * * *"']
    assert hourly.waits == timedelta(minutes=55)
    rows = transaction.execute("select ticked_at, due from autosync.tick").fetchall()
    hours: dict[Any, int] = {}
    for moment, due in rows:
        hour = moment.replace(minute=0, second=0, microsecond=0)
        hours[hour] = hours.get(hour, 0) + due
    expected = sum(max(1, min(4, -(-due // 50))) for due in hours.values())
    assert hourly.calls == a_month(expected)
    assert set(savings) == {'invoke = "when_due"', *(f'schedule = "{one}"' for one in cost._SLOWER.values())}

    # what is there already saves nothing more, and a schedule by the day has no slower pace
    transaction.execute("update autosync.job set invoke = 'when_due' where drains is not null")
    assert 'invoke = "when_due"' not in {one.change for one in of(transaction).savings}
    transaction.execute("update autosync.job set schedule = '*/5 8-18 * * *' where drains is not null")
    assert of(transaction).savings == ()


def test_what_is_over_the_quota_is_priced_in_whole_packages() -> None:
    assert [cost._quota(cost.PLANS["pro"], billed).over_usd for billed in (2_000_000, 2_000_001, 3_000_001)] == [
        0,
        2,
        4,
    ]
    free = cost._quota(cost.PLANS["free"], 750_000)
    assert (free.share, free.over, free.over_usd) == (1.5, 250_000, None)


def test_a_schedule_that_cannot_be_foreseen_is_said(transaction: psycopg.Connection[Any]) -> None:
    job = JobSettings.model_construct(name="x", function="x", schedule="@reboot", enabled=True)
    found = cost._Look(transaction, has_ledger=False).cost(job, None, "active")
    assert (found.ticks, found.by_schedule, found.calls) == (None, None, 0)
    assert found.notes == ("its ticks cannot be foreseen",)


@pytest.mark.parametrize("arguments", [(), ("--plan", "pro"), ("--job", GUIDE_JOB)])
def test_json_is_as_its_schema_says(migrated: Cluster, arguments: tuple[str, ...]) -> None:
    with clusters.connect(migrated) as owner:
        owner.execute(LEDGER.encode())
    document = command.succeeds(command.run("cost", "--format", "json", *arguments, database=migrated.url())).json()
    jsonschema.validate(document, SCHEMA)
    assert {quota["plan"]["name"] for quota in document["quotas"]} == (
        {"pro"} if "pro" in arguments else {"free", "pro"}
    )
    if "--job" in arguments:
        assert [job["name"] for job in document["jobs"]] == [GUIDE_JOB]
        refused = command.refused(command.run("cost", "--job", "nobody", database=migrated.url()), 2)
        assert refused == "there is no job 'nobody'"
