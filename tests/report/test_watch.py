"""What `watch` says: its screen with fixed data at two sizes, and its lines.

`python -m tests.report.test_watch` writes the screens into the folder beside; read them before you keep them.
"""

import dataclasses
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from rich.cells import cell_len
from rich.console import Console

from autosync_db.health.model import Status
from autosync_db.health.picture import Failure, Fired, Found, Lost, Message, Picture, Settled
from autosync_db.health.status import Due, JobStatus
from autosync_db.health.watching import Ledger
from autosync_db.jobs.calls import Cause
from autosync_db.report import as_calls
from autosync_db.report.watch import lines, view, words
from tests.support import cases
from tests.support.watched import NOW, SUBJECT, Prepared, call, full, job, look, screen, screens, verified

SCREENS = Path(__file__).with_name("screens")
# markup, control characters, a change of direction, wide ones, one joined of two
NASTY = (
    "[red]x[/] \x1b[31m\x9b2J\r\n\u202egnp.exe \u0634\u0631\u0643\u0629 \u6771\u4eac "
    + "\U0001f469\u200d\U0001f52c\ufe0f |"
)
JOBS = (
    job("auto-sync-cron-job", drains="auto_sync_schedules"),
    job("daily-report"),
    job("nightly-cleanup", kind="sql", function=None, sql="select app.cleanup()"),
)
OLD_CALLS = [call(100 - 7 * n, name=JOBS[n % 2].name) for n in range(1, 9)]
HEALTHY = Prepared(
    (
        look(OLD_CALLS, JOBS, nightly_cleanup=(NOW - timedelta(hours=3), "succeeded", "1 row")),
        verified(jobs=[one.name for one in JOBS]),
    )
)
KEY = "401 UNAUTHORIZED_LEGACY_JWT at 03:09 UTC, 2 in a row"
FAILING_LOOK = look(
    [
        call(100, Cause.PENDING),
        call(99, Cause.KEY),
        call(98, Cause.SLOW, "auto-sync-cron-job"),
        call(97, Cause.FUNCTION),
        call(96, name="auto-sync-cron-job", proof="empty", body_excerpt=""),
        *OLD_CALLS,
    ],
    (
        dataclasses.replace(JOBS[0], overlap="skip"),
        JOBS[1],
        dataclasses.replace(JOBS[2], paused_at=NOW, paused_by="ann"),
    ),
    Due(12, 3, 1, NOW + timedelta(seconds=30)),
    nightly_cleanup=(NOW - timedelta(hours=3), "failed", "ERROR: relation x is missing"),
)
VERDICT = verified(
    ("function_accepts_key", Status.CRITICAL, KEY, "daily-report"),
    ("schedules_not_overdue", Status.CRITICAL, "1 schedule waits since 02:40 UTC", None),
    ("job_runs_succeed", Status.WARNING, "1 of 5 runs failed", "nightly-cleanup"),
    ("service_key_fresh", Status.WARNING, "it is 400 days old", None),
    jobs=[one.name for one in JOBS],
)
FAILING = Prepared(
    (FAILING_LOOK, VERDICT), {99: Found(full(call(99, Cause.KEY)), "https://supabase.com/dashboard/project/x")}
)
LOST = Prepared(
    (
        FAILING_LOOK,
        VERDICT,
        Lost(
            NOW - timedelta(seconds=65),
            Failure("cannot use it: Connection refused"),
            "db.example.com:5432",
            is_gone=True,
        ),
    )
)
HOSTILE_JOBS = (job(NASTY), job("x" * 300))
HOSTILE = Prepared(
    (
        look(
            [call(99, Cause.FUNCTION, NASTY, body_excerpt=NASTY * 9, error_message=NASTY), call(98, name="x" * 300)],
            HOSTILE_JOBS,
        ),
        verified(("function_succeeds", Status.CRITICAL, NASTY * 3, NASTY), jobs=[NASTY, "x" * 300]),
    )
)
EMPTY = Prepared((look(), verified()))
SHOWN = {
    "healthy": (HEALTHY, ()),
    "failing": (FAILING, ()),
    "lost": (LOST, ()),
    "hostile": (HOSTILE, ()),
    "empty": (EMPTY, ()),
    "call": (FAILING, ("down", "enter")),
    "question": (FAILING, ("r",)),
    "verdict": (HOSTILE, ("v",)),
}
KEPT = ((80, 24), (200, 50))
SIZES = (*KEPT, (40, 12))


# on a push those with most on them
@pytest.mark.parametrize(
    "names", [("failing", "hostile", "call"), pytest.param(tuple(SHOWN), marks=pytest.mark.long)], ids=["some", "all"]
)
def test_the_screen_is_as_it_was_read_and_no_text_of_the_database_breaks_it(names: tuple[str, ...]) -> None:
    with cases.collected() as case:
        for name in names:
            source, keys = SHOWN[name]
            sizes = SIZES if source is HOSTILE else KEPT
            for (width, height), found in zip(sizes, screens(source, sizes, *keys), strict=True):
                with case(f"{name} at {width}x{height}"):
                    text = "\n".join(found).rstrip() + "\n"
                    if (width, height) in KEPT:
                        kept = SCREENS / f"{name}-{width}x{height}.txt"
                        assert text == kept.read_text(encoding="utf-8")
                    assert ("[red]x[/]" in text) == (source is HOSTILE)
                    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)
                    assert max(map(cell_len, found)) <= width
                    assert len(found) == height
    assert words.fit("\u6771\u4eac\u90fd", 4) == "\u6771… "


def test_an_old_verdict_is_not_called_healthy() -> None:
    def head(*messages: Message) -> str:
        picture = Picture()
        for message in messages:
            assert not isinstance(message, Exception)
            picture.take(message)
        return "\n".join(map(str, [view.header(picture, SUBJECT, NOW, 80), *view.causes(picture, 80, 6)]))

    assert head(*HEALTHY.messages).startswith("OK  verified 12 s ago")
    lost = head(*HEALTHY.messages, LOST.messages[-1])
    assert lost.startswith("NO ANSWER  as of 03:10:00 UTC (old); was ok")
    assert "no answer from db.example.com:5432 since 03:08:55 UTC, trying again" in lost
    unseen = dataclasses.replace(verified(), report=None, failure=Failure("canceling statement"))
    failed = head(*HEALTHY.messages, unseen)
    assert failed.startswith("UNKNOWN  could not verify; was ok")
    assert "canceling statement" in failed
    assert head(*HEALTHY.messages, unseen, verified()).startswith("OK")


def test_a_job_is_fired_after_a_yes_alone() -> None:
    source = dataclasses.replace(FAILING, fired=[])
    assert "was not fired" in "\n".join(screen(source, "r", "n", "r", "escape", "r", "enter", "r", "q", "r", "r"))
    assert source.fired == []
    failed = Fired("daily-report", False, "the call did not succeed: 401", "find the cause")
    source = dataclasses.replace(FAILING, fired=[], result=failed)
    assert "03:10:00 daily-report fired: failed, the call did not succeed: 401" in screen(source, "r", "y")[-2]
    # the arrows go on from the calls to the jobs, of which this one is the last
    source.result = None
    asked = screen(source, "up", "r", "y", "r")
    assert source.fired == ["daily-report", "nightly-cleanup"]
    for part in ("runs its statement", "paused by ann; it is run all the same"):
        assert part in " ".join(line.strip(" │") for line in asked)
    assert "there will be two at once" in view.question(FAILING_LOOK.jobs[1], waiting=True)


def test_a_line_is_said_for_each_call_and_change_and_as_json_it_fits_the_schema() -> None:
    schema = json.loads(Path(__file__).parents[2].joinpath("docs/reference/schemas/watch.schema.json").read_text())
    before, picture = look(OLD_CALLS, JOBS, nightly_cleanup=(NOW - timedelta(days=1), "succeeded", "1 row")), Picture()
    settled = dataclasses.replace(
        FAILING_LOOK, settled=(call(99, Cause.KEY), call(98, body_excerpt=NASTY, proof="text"))
    )
    gone = Lost(NOW, Failure("Connection refused", "wait"), "db.example.com:5432", is_gone=True)
    messages = (
        before,
        verified(),
        verified(),
        settled,
        VERDICT,
        gone,
        gone,
        dataclasses.replace(before, at=NOW + timedelta(minutes=2)),
    )
    events = [event for message in messages for event in picture.take(message)]
    said = [lines.text(event) for event in events]
    assert [line.partition(" ")[2][:30] for line in said] == [
        "verdict ok", "call 99 of daily-report: faile", "call 98 of daily-report: ok, u",
        "run of nightly-cleanup: failed", "verdict critical: function_acc", "no answer from db.example.com:",
        "db.example.com:5432 answers ag", "run of nightly-cleanup: succee",
    ]  # fmt: skip
    assert all(re.match(r"2026-11-28T03:\d\d:\d\d\.\d{3}\+00:00 ", line) for line in said)
    for event in events:
        line = lines.as_line(event)
        assert line.isprintable()
        jsonschema.validate(json.loads(line), schema)
    assert [json.loads(lines.as_line(event))["event"] for event in events] == [
        "verdict", "call", "call", "run", "verdict", "lost", "back", "run",
    ]  # fmt: skip


def test_an_outcome_has_the_words_of_runs() -> None:
    for cause in Cause:
        found = dataclasses.replace(call(99), cause=cause)
        word, _ = words.outcome(found)
        printed = io.StringIO()
        as_calls.table([found], Console(file=printed, width=120), NOW)
        assert f"  {word}  " in printed.getvalue(), (cause, printed.getvalue())
        # the column has room for each
        assert f" {word} " in view.calls(Picture(look([found])), NOW, 120)[1][0][1].plain
        assert f"daily-report: {word}, " in lines.text(Settled(NOW, found))


def test_each_call_is_said_once_however_late_it_settles() -> None:
    ledger = Ledger()
    assert ledger.first is None
    assert ledger.settle([call(12, Cause.PENDING), call(11)]) == []
    assert [
        one.id for one in ledger.settle([call(14, Cause.PENDING), call(13), call(12, Cause.PENDING), call(11)])
    ] == [13]
    assert ledger.first == 12
    # committed later than those of higher numbers, as another session's may be
    later = [call(16), call(15), call(14), call(13), call(12), call(11)]
    assert [one.id for one in ledger.settle([one for one in later if one.id != 15])] == [12, 14, 16]
    assert [one.id for one in ledger.settle(later)] == [15]
    assert ledger.settle(later) == []
    assert [one.id for one in ledger.settle([call(2000), *later])] == [2000]
    assert ledger.first == 1900


def test_the_next_tick_is_that_of_pg_cron_with_its_time_zone() -> None:
    def after(zone: str | None = None, both_days: bool = False, **changes: object) -> datetime | None:
        one = JobStatus(job("x", **changes), NOW, None, None, None, None, None, zone, both_days)
        found, shown = one.next_tick(NOW), one.coming(NOW)
        # status and the lists show the same; of a job that ticks every few seconds its period
        assert isinstance(shown, str) if found is None else shown in {found, timedelta(seconds=20)}
        return found

    assert after() == NOW + timedelta(minutes=5)
    # 12:00 in Berlin is 11:00 UTC in November
    assert after("Europe/Berlin", cron_schedule="0 12 * * *") == NOW.replace(hour=11, minute=0)
    # the 28th of November 2026 is a Saturday; the next Saturday that is a 28th is in August
    assert after(cron_schedule="0 12 28 * 6", both_days=True) == NOW.replace(hour=12, minute=0)
    assert after(cron_schedule="0 2 28 * 6", both_days=True) == datetime(2027, 8, 28, 2, tzinfo=UTC)
    assert after(cron_schedule="@daily") == NOW.replace(hour=0, minute=0) + timedelta(days=1)
    assert after(cron_schedule="20 seconds") == NOW + timedelta(seconds=20)
    for changes in (
        {"active": False},
        {"cron_schedule": None},
        {"inherited_from": "x"},
        {"cron_schedule": "0 0 30 2 *"},
    ):
        assert after(**changes) is None, changes


def test_countdown_and_age_are_said_in_seconds_where_that_matters() -> None:
    for seconds, said in ((-3, "now"), (0.4, "now"), (45, "in 45 s"), (123, "in 2 min 03 s"), (7300, "in 2 h 1 min")):
        assert words.countdown(timedelta(seconds=seconds)) == said
    assert words.ago(NOW + timedelta(seconds=3), NOW) == "0 s ago"


if __name__ == "__main__":
    SCREENS.mkdir(exist_ok=True)
    for name, (source, keys) in SHOWN.items():
        for (width, height), found in zip(KEPT, screens(source, KEPT, *keys), strict=True):
            text = "\n".join(found).rstrip() + "\n"
            (SCREENS / f"{name}-{width}x{height}.txt").write_text(text, encoding="utf-8")
