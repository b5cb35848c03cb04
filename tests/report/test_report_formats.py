"""The formats that other programs read: nothing that a database says may break their syntax."""

import dataclasses
import json
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

from autosync_db import resources
from autosync_db.health import catalogue
from autosync_db.health.model import CheckResult, Evidence, Report, Status, Verdict
from autosync_db.health.work import JobWork, Work
from autosync_db.jobs.calls import Cause
from autosync_db.report import as_github, as_json, as_junit, as_nagios, as_prometheus, pages
from tests.support import promtool

NASTY = 'quoted "name" | <tag> & 100%\nsecond line\\'


def _report(*failing: tuple[str, Status, tuple[str, ...]]) -> Report:
    verdicts = {id: (status, blocked_by) for id, status, blocked_by in failing}
    results = []
    for id, check in catalogue.all_checks().items():
        status, blocked_by = verdicts.get(id, (Status.OK, ()))
        results.append(CheckResult(id, check, Verdict(status, NASTY, (Evidence("job", NASTY),)), blocked_by))
    return Report("production", ("auto-sync-cron-job",), datetime(2026, 11, 23, 12, tzinfo=UTC), tuple(results))


HEALTHY = _report()
BROKEN = _report(
    ("job_active", Status.CRITICAL, ()),
    ("secrets_present", Status.WARNING, ()),
    ("pg_net_worker_running", Status.UNKNOWN, ()),
    ("schedules_not_overdue", Status.CRITICAL, ("job_active",)),
)


def test_junit_has_one_case_per_check_and_says_how_each_ended() -> None:
    suite = ElementTree.fromstring(as_junit.report(BROKEN))
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert set(cases) == set(catalogue.all_checks())
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("2", "1", "1")
    failure = cases["job_active"].find("failure")
    assert failure is not None
    assert failure.get("type") == "critical"
    assert "remedy: autosync-db repair job_active" in (failure.text or "")
    skipped = cases["schedules_not_overdue"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "explained by job_active"
    assert not ElementTree.fromstring(as_junit.report(HEALTHY)).findall(".//failure")


def test_junit_is_well_formed_whatever_a_name_holds() -> None:
    said = "".join(
        map(chr, [*range(32), 0x7F, 0x85, 0x2028, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F389, 0x10FFFF])
    )
    [result] = _report(("job_active", Status.CRITICAL, ())).root_causes
    verdict = Verdict(Status.CRITICAL, said, (Evidence(said, said),))
    found = dataclasses.replace(HEALTHY, results=(dataclasses.replace(result, verdict=verdict),))
    failure = ElementTree.fromstring(as_junit.report(found)).find(".//failure")
    assert failure is not None
    assert "\U0001f389" in (failure.text or "")


def test_github_annotates_root_causes_alone_one_line_each() -> None:
    lines = as_github.annotations(BROKEN).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("::error title=job_active::")
    assert {line.split(" ")[0] for line in lines} == {"::error", "::warning"}
    assert all("%25" in line and "%0A" in line for line in lines)
    assert as_github.annotations(HEALTHY).startswith("::notice ")


def test_github_summary_is_one_table_row_per_root_cause() -> None:
    rows = [line for line in as_github.summary(BROKEN).splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 3
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
    assert "Explained by these: `schedules_not_overdue`." in as_github.summary(BROKEN)


def test_github_summary_shows_what_a_database_says_as_text_alone() -> None:
    said = "\\| <img src=//x> [fix](https://x) @org ```\r\n# head"
    found = CheckResult("job_active", catalogue.find("job_active"), Verdict(Status.CRITICAL, said, ()), ())
    text = as_github.summary(dataclasses.replace(BROKEN, results=(found,)))
    [row] = [line for line in text.splitlines() if "head" in line]
    shown = "\\\\\\| \\<img src=//x\\> \\[fix\\](https://x) \\@org \\`\\`\\` # head"
    assert f"| {shown} |" in row


def test_prometheus_gives_every_check_exactly_one_status() -> None:
    samples = {}
    for line in as_prometheus.report(BROKEN).splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            samples[name] = float(value)
    for id in catalogue.all_checks():
        mine = [value for name, value in samples.items() if f'check="{id}"' in name]
        assert (len(mine), sum(mine)) == (len(Status), 1)
    labels = 'target="production",job="auto-sync-cron-job"'
    assert samples[f"autosync_root_causes{{{labels}}}"] == 3
    assert samples[f"autosync_healthy{{{labels}}}"] == 0
    assert f"autosync_healthy{{{labels}}} 1\n" in as_prometheus.report(HEALTHY)


def test_prometheus_has_the_work_of_jobs_of_any_name_below_its_meaning() -> None:
    job = JobWork(
        NASTY, makes_calls=True, is_expected=True, last_success_at=1795902280.25, failures_in_a_row=0, calls={"ok": 2}
    )
    work = Work((job,), queued=3, secrets_changed_at={NASTY: 1.5}, unread=frozenset({"alerts"}))
    report = dataclasses.replace(BROKEN, work=work)
    text = as_prometheus.report(report)
    promtool.check_metrics(text)
    escaped = NASTY.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    samples = promtool.samples(text)
    job_labels = f'target="production",cron_job="{escaped}"'
    assert samples[f"autosync_job_last_success_timestamp_seconds{{{job_labels}}}"] == 1795902280.25
    assert samples[f'autosync_job_calls_last_hour{{{job_labels},cause="key"}}'] == 0
    assert samples[f'autosync_secret_changed_timestamp_seconds{{target="production",secret="{escaped}"}}'] == 1.5
    # what is not known is left out, and of the failing checks those that another one explains
    assert "oldest_queued_age" not in text
    failing = [series for series in samples if series.startswith("autosync_check_failing")]
    assert ["schedules_not_overdue" in series for series in failing] == [False] * 3
    assert 'check_id="job_active",layer="job",status="critical",command="autosync-db repair job_active"' in failing[0]
    # a series is one block, with one HELP and TYPE
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    # and without the work the text is what it was, but for what fails
    assert as_prometheus.report(HEALTHY) == text_before(HEALTHY)


def text_before(report: Report) -> str:
    """Return the series that were there before there was any of work."""
    lines = as_prometheus.report(report).splitlines()
    kept = ("check_status", "root_causes", "healthy", "checked_at_seconds")
    return "\n".join(line for line in lines if any(f"autosync_{name}" in line for name in kept)) + "\n"


def test_the_guide_has_every_series_and_every_alert() -> None:
    guide = pages.page("monitoring")
    for name in as_prometheus.SERIES:
        assert f"| `autosync_{name}" in guide, name
    rules = resources.read("templates/monitoring/rules.yml.j2")
    for alert in re.findall(r"- alert: (\w+)", rules):
        assert f"| `{alert}` |" in guide, alert
    for cause in Cause:
        assert f"`{cause.value}`" in guide


def test_nagios_has_a_status_line_with_performance_data_and_the_plugin_codes() -> None:
    for report, code, word in (
        (HEALTHY, 0, "OK"),
        (_report(("job_active", Status.WARNING, ())), 1, "WARNING"),
        (BROKEN, 2, "CRITICAL"),
        (_report(("job_active", Status.UNKNOWN, ())), 3, "UNKNOWN"),
    ):
        first = as_nagios.report(report).splitlines()[0]
        assert first.startswith(f"AUTOSYNC {word} - ")
        text, _, performance = first.partition(" | ")
        assert "|" not in text, first
        assert f"{word.lower()}=" in performance
        assert as_nagios.EXIT_CODES[report.status] == code, word


def test_json_has_the_facts_exactly_and_no_control_character() -> None:
    facts = {"role": "a\x9b\x1b[2J\nb", "pids": [1]}
    text = as_json.dumps({"facts": facts})
    assert not any(
        (ord(character) < 0x20 and character != "\n") or 0x7F <= ord(character) <= 0x9F for character in text
    )
    assert json.loads(text) == {"facts": facts}
