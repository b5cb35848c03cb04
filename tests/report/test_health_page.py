"""`report`: the page is its figures; whatever a database says is text; there is a page of every state of a project."""

import itertools
import json
import re
import stat
import subprocess
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest

from autosync_db import config
from autosync_db.health import composer, history, verify
from autosync_db.local.cluster import Cluster
from autosync_db.report import as_html, charts, figures
from autosync_db.schedules import preview
from autosync_db.secret import Secret
from tests.report.conftest import HOSTILE, NAME
from tests.support import clusters, command, health

SCHEMAS = Path(__file__).parents[2] / "docs" / "reference" / "schemas"
UNREACHABLE = Secret("postgresql://postgres@127.0.0.1:1/postgres?connect_timeout=1")


def valid(document: dict[str, Any]) -> dict[str, Any]:
    """Return figures, which are as their schema says."""
    jsonschema.validate(document, json.loads((SCHEMAS / "report.schema.json").read_text()))
    jsonschema.validate(document["verify"], json.loads((SCHEMAS / "verify.schema.json").read_text()))
    return document


def inside(page: str) -> Any:
    """Return the figures that a page holds."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture(autouse=True)
def _settled_launcher() -> Iterator[None]:
    with health.launcher_that_counts_as_settled():
        yield


def of(connection: psycopg.Connection[Any], *jobs: str) -> dict[str, Any]:
    """Return the figures of a database."""
    configuration = config.load(config.Flags(database_url=UNREACHABLE))
    report = verify.run(connection, configuration, jobs=jobs)
    past = history.collect(connection, composer.chosen(report.jobs))
    return valid(figures.document(report, past, configuration, report.checked_at))


def job(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what the figures say of a job."""
    return next(one for one in found["jobs"] if one["name"] == name)


def draw(*asked: charts.Points) -> tuple[list[str] | None, str | None]:
    """Return the drawings of these points, and why there are none."""
    with charts.Drawer() as drawer:
        drawer.ask(asked, 168)
        return drawer.drawn(), drawer.reason


def test_every_outcome_is_counted_where_it_belongs(filled: Cluster) -> None:
    with clusters.connection(filled) as owner:
        found = of(owner)
    main, reports, tidy, theirs = (job(found, name) for name in ("auto-sync-cron-job", "reports", "tidy", "theirs"))
    zero = dict.fromkeys(figures.OUTCOMES, 0)
    # what is older than the strip is not in it; a tick that failed made no call
    assert main["strips"]["day"]["totals"] == zero | {"ok": 2, "unproven": 1, "failed": 1, "no_call": 1, "all": 5}
    assert main["strips"]["week"]["totals"] == zero | {"ok": 5, "unproven": 1, "failed": 1, "no_call": 1, "all": 8}
    assert reports["strips"]["week"]["totals"] == zero | {"failed": 3, "lost": 1, "pending": 2, "all": 6}
    # of a statement its runs; one that a restart ended has not failed
    assert tidy["strips"]["day"]["totals"] == zero | {"ok": 1, "failed": 1, "pending": 1, "all": 3}
    assert theirs["strips"]["day"]["totals"] == zero | {"ok": 1, "all": 1}
    assert main["attempts"] == [{"attempt": 1, "ok": 5, "unproven": 1}, {"attempt": 2, "failed": 1}]
    assert main["durations"] == {
        "source": "reported by the function", "calls": 5, "median_ms": 300, "p95_ms": 900, "longest_ms": 900,
    }  # fmt: skip
    assert (tidy["durations"]["longest_ms"], reports["kind"], theirs["kind"]) == (1500, "function", "watch")
    (failing,) = [slot for slot in main["strips"]["day"]["slots"] if slot.get("failed")]
    assert failing["failed_id"] == main["failures"][0]["id"]
    days = {one["date"]: one for one in main["days"]}
    assert sum(day.get("ok", 0) for day in days.values()) == 5
    assert sum(day.get("no_call", 0) for day in days.values()) == 1
    assert {one["cause"] for one in reports["failures"]} == {"network", "lost", "slow", "function"}
    together = found["calls"]["day"]
    assert together["all"] == sum(one["strips"]["day"]["totals"]["all"] for one in found["jobs"])
    assert together["good_percent"] == (2 + 1 + 1 + 1) * 1000 // (together["all"] - together["pending"]) / 10
    assert found["schedules"]["next_24_hours"] == [0, 2] + [0] * 22
    assert [found["schedules"][name] for name in ("schedules", "enabled", "due", "overdue", "failing")] == [
        4,
        3,
        1,
        1,
        1,
    ]
    due = found["schedules"]["due_runs"]
    # every 15 minutes from now on, and twice every hour from in an hour and a half on
    assert (len(due["runs"]), due["more"], due["is_at_least"]) == (40, 96 + 2 * 23 - 40, False)
    (neighbour,) = found["neighbours"]
    assert (neighbour["name"], neighbour["day"], neighbour["week"]) == (
        NAME, {"runs": 1, "failed": 1}, {"runs": 2, "failed": 1},
    )  # fmt: skip
    # what stands behind an address may be a credential of no known form
    assert (job(found, "elsewhere")["next"]["ticks"], job(found, "elsewhere")["does"]) == (0, "https://example.com/in")
    assert (reports["next"]["ticks"], len(reports["next"]["at"])) == (144, 3)
    sizes = {one["table"]: one for one in found["sizes"]}
    assert sizes["autosync.invocation"]["kept_seconds"] == 30 * 86400
    assert found["unseen"] == []


def test_what_is_due_within_a_day_is_what_the_preview_says(filled: Cluster) -> None:
    """The preview is another implementation of the trigger's rules, in Python."""
    # in every zone a window is open now, shut now, crosses midnight, or is shut for all but minutes
    windows = [None, (time(0), time(23, 59)), (time(22), time(4)), (time(9), time(17)), (time(3), time(3, 5))]
    with clusters.connection(filled, "supabase_admin") as admin, admin.transaction(force_rollback=True):
        admin.execute("set local session_replication_role = replica")
        admin.execute("truncate public.auto_sync_schedules")
        ((now,),) = admin.execute("select now()").fetchall()
        expected = []
        for zone, window, frequency in itertools.product(
            ("UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu"), windows, (37, 600, 44640)
        ):
            bounds = window or (None, None)
            admin.execute(
                "insert into public.auto_sync_schedules (integration_id, organization_id, enabled, frequency_minutes,"
                " time_window_enabled, time_window_start, time_window_end, timezone, next_run_at) select"
                " gen_random_uuid(), gen_random_uuid(), true, %s, %s, %s, %s, %s, now() - interval '1 minute'",
                [frequency, window is not None, *bounds, zone],
            )
            runs = preview.preview(
                frequency_minutes=frequency, window=preview.Window(*window) if window else None,
                zone=preview.find_zone(zone), at=now, count=50,
            )  # fmt: skip
            expected += [run.at for run in runs if run.at < now + timedelta(days=1)]
        found = history.collect(admin, composer.chosen(None))
        shown = [datetime.fromisoformat(row["due_at"]) for row in found.rows["due_runs"]]
        assert shown == sorted(expected)[:40]
        assert found.one("due_runs_counted")["runs"] == len(expected)
        # what is bounded says so, and a zone that nobody knows, loaded past the trigger, hides no other
        admin.execute("update public.auto_sync_schedules set frequency_minutes = 1")
        admin.execute(
            "update public.auto_sync_schedules set timezone = 'Nowhere/At_All' where time_window_end = '17:00'"
        )
        found = history.collect(admin, composer.chosen(None))
        assert (len(found.rows["due_runs"]), found.one("due_runs_counted")["runs"]) == (40, 2001)


def test_a_job_can_be_chosen_and_the_others_are_no_neighbours(filled: Cluster) -> None:
    with clusters.connection(filled) as owner:
        found = of(owner, "reports")
    assert [one["name"] for one in found["jobs"]] == ["reports"]
    assert [one["name"] for one in found["neighbours"]] == [NAME]


def test_it_takes_three_round_trips_however_many_calls_there_are(filled: Cluster, tmp_path: Path) -> None:
    with clusters.connection(filled) as owner, (tmp_path / "trace").open("w+") as trace:
        owner.pgconn.trace(trace.fileno())
        history.collect(owner, composer.chosen(["auto-sync-cron-job", "reports"]))
        owner.pgconn.untrace()
        trace.seek(0)
        assert trace.read().count("ReadyForQuery") == 3


def test_what_cannot_be_read_is_named_and_the_rest_is_there(filled: Cluster) -> None:
    with clusters.connection(filled, "supabase_admin") as admin, admin.transaction(force_rollback=True):
        # a query that fails, and a table that is not there
        admin.execute("alter function autosync.recent_outcomes(text, integer) rename to gone")
        admin.execute("alter table public.auto_sync_schedules rename to gone")
        admin.execute("set local role postgres")
        found = history.collect(admin, composer.chosen(["auto-sync-cron-job", "reports"]))
        admin.execute("set local role anon")
        by_anybody = history.collect(admin, composer.chosen(["reports"]))
    assert by_anybody.unseen["calls"] == "this role may not read autosync.job"
    unseen = dict(found.unseen)
    assert "recent_outcomes" in unseen.pop("newest")
    assert set(unseen.values()) == {"there is no public.auto_sync_schedules"}
    assert [row["name"] for row in found.rows["jobs"]] == ["auto-sync-cron-job", "reports"]
    assert found.rows["calls"]


def test_the_page_holds_its_figures_and_no_secret(filled: Cluster, secret: str, tmp_path: Path) -> None:
    result = command.succeeds(
        command.run("report", "--format", "json", "-o", "health.html", database=filled.url(), folder=tmp_path)
    )
    page = (tmp_path / "health.html").read_text()
    assert inside(page) == valid(result.json())
    for text in (page, result.out, result.err):
        assert secret not in text
        assert secret.split(".")[2] not in text
    # nothing of anybody's is markup; what turns the direction of a text is in the JSON alone, as an escape
    outside = re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert len(re.findall("<script", page)) == 2
    assert not re.search(r"<img|<!--|onerror=\"w|\b55,?433\b", outside)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    assert not re.search(r"https?://(?!www\.w3\.org/|example\.com/in)", outside)
    assert "health.html" in result.err


@pytest.mark.parametrize("drawn", [True, False])
def test_lines_are_drawn_where_they_can_be_and_else_the_page_says_how(
    drawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not drawn:
        monkeypatch.setattr(charts, "is_installed", lambda: False)
    points = [{"slot": slot, "median_ms": 100 + slot, "p95_ms": 300} for slot in (0, 1, 2, 5, 9, 10)]
    found, reason = draw(points, points[:1])
    if not drawn:
        assert found is None
        assert "pip install 'autosync-db[report]'" in (reason or "")
        return
    assert found is not None
    svg = charts.accessible(found[0], "c", "of <b>", 'in "words"')
    assert re.match(
        r'<svg [^>]*role="img"[^>]*aria-labelledby="c-t c-d"><title id="c-t">of &lt;b&gt;</title><desc', svg
    )
    # three stretches without a gap, of two lines each
    assert len(re.findall("mark-line", svg)) == 6
    assert "style=" not in svg


@pytest.mark.long
def test_a_drawer_that_dies_costs_the_lines_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(charts, "_PROGRAM", "import os; os._exit(9)")
    point = {"slot": 0, "median_ms": 1}
    assert draw([point]) == (None, "vl-convert ended without a drawing")
    # what lies in the current folder is no library of ours
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vl_convert.py").write_text("raise SystemExit('from here')")
    assert draw([point])[0]


def test_a_server_that_is_not_reached_is_a_page_and_exits_4(tmp_path: Path) -> None:
    result = command.run("report", "-o", "health.html", database=UNREACHABLE, folder=tmp_path)
    assert command.refused(result, 4).startswith("cannot use the database")
    found = valid(inside((tmp_path / "health.html").read_text()))
    assert (found["status"], found["server"], found["jobs"]) == ("critical", None, [])
    assert "Something is broken" in (tmp_path / "health.html").read_text()


@pytest.mark.long
def test_where_nothing_is_installed_there_is_a_page_and_fail_is_for_who_asks(blank: Cluster, tmp_path: Path) -> None:
    with clusters.connect(blank) as owner:
        owner.execute("create extension if not exists pg_cron")
        owner.execute("select cron.schedule('alone', '0 0 1 1 *', 'select 1')")
    command.succeeds(command.run("report", "-o", "health.html", database=blank.url(), folder=tmp_path))
    found = valid(inside((tmp_path / "health.html").read_text()))
    assert [one["name"] for one in found["neighbours"]] == ["alone"]
    assert {"what": "calls", "reason": "there is no autosync.job"} in found["unseen"]
    assert found["jobs"][0]["state"] == "not in the database"
    assert command.run("report", "-o", "x.html", "--fail", database=blank.url(), folder=tmp_path).code == 3
    assert (tmp_path / "x.html").exists()


def test_the_file_is_written_whole_and_nothing_else_is_replaced(tmp_path: Path) -> None:
    def run(*arguments: str) -> command.Result:
        return command.run("report", *arguments, database=UNREACHABLE, folder=tmp_path)

    assert command.refused(run(), 2) == "the page needs a file"
    assert command.refused(run("-o", "-", "--format", "json"), 2) == "the page and its figures cannot both go to stdout"
    assert command.refused(run("-o", "."), 2) == ". is a folder"
    (tmp_path / "file").write_text("")
    assert command.refused(run("-o", "file/x.html"), 2).startswith("cannot write file/x.html: ")
    # a link goes on leading where it leads, a device stays one
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "old.html").write_text("old")
    (tmp_path / "link.html").symlink_to("kept/old.html")
    assert run("-o", "link.html").code == 4
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "kept" / "old.html").read_text().endswith("</html>\n")
    subprocess.run(["mkfifo", tmp_path / "pipe"], check=True)
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        assert run("-o", "pipe").code == 4
        assert reader.communicate()[0].startswith("<!doctype html>")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert run("-o", "-").out.startswith("<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "kept", "link.html", "pipe"]


@pytest.mark.long
def test_a_week_of_five_minute_calls_of_twenty_jobs_is_a_page_of_less_than_one_and_a_half_megabytes(
    filled: Cluster,
) -> None:
    with clusters.connection(filled) as owner:
        found = of(owner)
    one = job(found, "auto-sync-cron-job")
    # nothing is left out anywhere: what a page with twice as much to say would hold
    for name, count in (("day", 96), ("week", 168)):
        full = {"ok": 1, "unproven": 4, "failed": 3, "lost": 2, "no_call": 1, "id": 40320, "failed_id": 40319}
        full |= {"median_ms": 12345, "p95_ms": 23456} if name == "week" else {}
        one["strips"][name]["slots"] = [{"slot": slot, **full} for slot in range(count)]
    one |= {"failures": one["failures"] * 5, "newest": (one["newest"] * 8)[:8]}
    with charts.Drawer() as drawer:
        page = as_html.page({**found, "jobs": [one] * 20}, drawer)
    assert len(re.findall('class="chart"', page)) == 20
    assert len(page.encode()) < 1_500_000


def test_embedded_json_ends_no_element() -> None:
    text = as_html.embedded({"a": HOSTILE, "b": "\ud800"})
    assert not re.search("[<>&\u2028\x9b]", text)
    assert json.loads(text) == {"a": HOSTILE, "b": "\ud800"}
