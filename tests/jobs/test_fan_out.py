"""How many requests a tick makes of what is due, what that count costs, and that an idle tick is no dead one."""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from autosync_db.health.model import Status
from autosync_db.local.cluster import Cluster
from tests.jobs.conftest import Chain
from tests.support import clusters, health, keys
from tests.support.http_stub import Stub

URL = "http://project.internal"
BATCH, CAP = 10, 4


@pytest.fixture
def tick(unsent: Chain) -> Callable[..., tuple[str, int, list[Any]]]:
    """A function that runs one tick and returns its decision, what it found due, and the headers of its requests."""
    unsent.store(URL, keys.legacy())

    def run(*, invoke: str = "always", force: bool = False) -> tuple[str, int, list[Any]]:
        unsent.connection.execute(
            "update autosync.job set invoke = %s, batch_size = %s, max_requests = %s", [invoke, BATCH, CAP]
        )
        id_ = unsent.dispatch(force=force)
        row = unsent.connection.execute("select decision, due from autosync.tick where id = %s", [id_]).fetchone()
        assert row is not None
        sent = [headers for _, headers, _, _ in unsent.queued()]
        assert len(unsent.requests(id_)) == len(sent), "one ledger row for each request"
        assert all(named["x-autosync-tick"] == str(id_) for named in sent)
        return row[0], row[1], sent

    return run


Tick = Callable[..., tuple[str, int, list[Any]]]


def test_nothing_due_is_one_request_or_an_idle_tick(tick: Tick) -> None:
    decision, due, sent = tick(invoke="when_due")
    assert (decision, due, sent) == ("idle", 0, [])
    decision, due, sent = tick(invoke="always")
    assert (decision, due, len(sent)) == ("posted", 0, 1)


def test_force_calls_though_nothing_is_due(tick: Tick) -> None:
    decision, due, sent = tick(invoke="when_due", force=True)
    assert (decision, due, len(sent)) == ("posted", 0, 1)


@pytest.mark.parametrize("invoke", ["always", "when_due"])
@pytest.mark.parametrize("schedules", [1, BATCH, BATCH + 1, 3 * BATCH, CAP * BATCH, CAP * BATCH + 1, 500])
def test_requests_follow_what_is_due_up_to_the_cap(unsent: Chain, tick: Tick, schedules: int, invoke: str) -> None:
    unsent.add_due(schedules)
    decision, due, sent = tick(invoke=invoke)
    assert decision == "posted"
    assert due == min(schedules, CAP * BATCH), "counting ends where it would change nothing"
    assert len(sent) == min(math.ceil(schedules / BATCH), CAP)
    assert {named["x-autosync-batch-size"] for named in sent} == {str(BATCH)}


@pytest.mark.parametrize(
    ("change", "due"),
    [
        ("enabled = false", 0),
        ("last_run_at = now(), last_run_status = 'success'", 0),
        (
            "claim_id = gen_random_uuid(), claimed_at = now(), claim_expires_at = now() + interval '1 minute'",
            0,
        ),
        (
            "claim_id = gen_random_uuid(), claimed_at = now(), claim_expires_at = now() - interval '1 minute'",
            2 * BATCH,
        ),
    ],
    ids=["disabled", "in the future", "claimed", "lease over"],
)
def test_only_what_could_be_claimed_counts(unsent: Chain, tick: Tick, change: str, due: int) -> None:
    unsent.add_due(2 * BATCH)
    unsent.connection.execute(f"update public.auto_sync_schedules set {change}".encode())
    decision, found, sent = tick(invoke="when_due")
    assert (decision, found) == ("posted" if due else "idle", due)
    assert len(sent) == due // BATCH


def test_an_enabled_row_without_a_next_run_is_not_due(unsent: Chain, tick: Tick, shared: Cluster) -> None:
    unsent.add_due(1)
    unsent.connection.execute(
        "alter table public.auto_sync_schedules disable trigger user;"
        "update public.auto_sync_schedules set next_run_at = null, claim_id = gen_random_uuid(),"
        " claimed_at = now(), claim_expires_at = now() - interval '1 hour';"
        "alter table public.auto_sync_schedules enable trigger user"
    )
    assert tick(invoke="when_due")[:2] == ("idle", 0)


# rows that a tick must not read, and the statistics that mislead the planner about them
CROWDS = {
    "claimed": "claim_id = gen_random_uuid(), claimed_at = now(), claim_expires_at = now() + interval '1 hour'",
    "future": "last_run_at = now(), last_run_status = 'success'",
    "due": "only_online = only_online",
}
CROWD = 20_000


@pytest.fixture
def crowded(quiet_template: Cluster) -> Iterator[Cluster]:
    """A server of the test's own on which very many schedules are due, and which gathers no statistics unasked."""

    def prepare(cluster: Cluster) -> None:
        with clusters.connect(cluster, "supabase_admin") as admin:
            admin.execute("alter system set autovacuum = off")
            admin.execute("select pg_reload_conf()")
            Chain(admin).store(URL, keys.legacy())
            Chain(admin).add_due(CROWD)

    with clusters.cloned(clusters.template("crowded", prepare, quiet_template)) as copy:
        yield copy


ANALYZED = ("before", "after", "never")


@pytest.mark.long
@pytest.mark.parametrize(
    ("crowd", "analyzed"),
    [(crowd, analyzed) for crowd in CROWDS for analyzed in ANALYZED],
)
def test_counting_costs_the_same_however_many_schedules_there_are(crowded: Cluster, crowd: str, analyzed: str) -> None:
    """Asked of the statement as dispatch() runs it: auto_explain reports what it touched."""
    plans: list[dict[str, Any]] = []

    def keep(notice: psycopg.errors.Diagnostic) -> None:
        text = notice.message_primary or ""
        if "plan:" in text:
            plans.append(json.loads(text.split("plan:", 1)[1]))

    with clusters.connect(crowded, "supabase_admin") as admin:
        if analyzed == "before":
            admin.execute("analyze public.auto_sync_schedules")
        admin.execute(f"update public.auto_sync_schedules set {CROWDS[crowd]}".encode())
        # what the updates left behind belongs to them and not to the count
        admin.execute("vacuum public.auto_sync_schedules")
        if analyzed == "after":
            admin.execute("analyze public.auto_sync_schedules")
        admin.add_notice_handler(keep)
        admin.execute(
            "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;"
            "set auto_explain.log_buffers = on; set auto_explain.log_nested_statements = on;"
            "set auto_explain.log_format = json; set auto_explain.log_level = notice; set client_min_messages = notice"
        )
        tick = Chain(admin).dispatch()
        due = Chain(admin).value("select due from autosync.tick where id = %s", tick)
    # behind so many claimed ones nobody looks: a call finds out
    assert due == {"due": 200, "claimed": 1, "future": 0}[crowd]
    counts = [found["Plan"] for found in plans if re.search(r"\) as (nearest|front)\b", found["Query Text"])]
    assert len(counts) == (2 if crowd == "claimed" else 1)
    for plan in counts:
        assert re.search(r"auto_sync_schedules_(next_run|claimable_idx)\b", json.dumps(plan))
    touched = sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in counts)
    # 200 rows, each on a page of its own at worst, and the way down the index; of claimed ones 2,000 more
    assert touched <= (2300 if crowd == "claimed" else 220), f"{touched} buffers, of a table with {CROWD} rows"


@pytest.mark.long
def test_verify_calls_an_idle_job_healthy_and_a_dead_one_not(migrated: Cluster, stub: Stub) -> None:
    with health.healthy(migrated, stub) as project:
        project.set_job(invoke="when_due")
        calls = len(stub.requests)
        for _ in range(3):
            project.owner.execute("select autosync.dispatch()")
            project.record_run("succeeded", "1 row")
        assert project.value("select decision from autosync.tick order by id desc limit 1") == "idle"
        assert len(stub.requests) == calls
        project.must_be_healthy()
        assert project.run_verify().code == 0

        # the same silence with something due is a dead job
        # (a year: the job of these tests ticks once in one)
        project.add_schedule(next_run_at="now() - interval '1 year'")
        report = project.report()
        assert health.statuses(report)["schedules_not_overdue"] is Status.CRITICAL
        assert project.run_verify().code == 3
