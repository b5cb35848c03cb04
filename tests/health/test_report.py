"""What a report means to whoever started the command, without a database."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from autosync_db.errors import ExitCode
from autosync_db.health import catalogue
from autosync_db.health.model import CheckResult, Report, Row, Status, Verdict, judge_rows
from autosync_db.report import as_github, as_json, as_junit, as_nagios, as_prometheus, as_text


@pytest.mark.parametrize(
    ("status", "plain", "strict"),
    [
        (Status.OK, ExitCode.OK, ExitCode.OK),
        (Status.WARNING, ExitCode.OK, ExitCode.CHECK_FAILED),
        (Status.UNKNOWN, ExitCode.CHECK_FAILED, ExitCode.CHECK_FAILED),
        (Status.CRITICAL, ExitCode.CHECK_FAILED, ExitCode.CHECK_FAILED),
    ],
)
def test_only_proven_health_exits_0_and_strict_fails_warnings(status: Status, plain: int, strict: int) -> None:
    results = (CheckResult("job_active", catalogue.find("job_active"), Verdict(status, "seen")),)
    report = Report("production", ("auto-sync-cron-job",), datetime.now(UTC), results)
    assert (report.exit_code(), report.exit_code(strict=True)) == (plain, strict)


def test_a_service_that_nothing_needs_and_that_cannot_be_asked_weighs_as_a_warning() -> None:
    optional = CheckResult("legacy_keys_off", catalogue.find("legacy_keys_off"), Verdict(Status.UNKNOWN, "down"))
    warning = CheckResult("job_active", catalogue.find("job_active"), Verdict(Status.WARNING, "seen"))
    unseen = CheckResult("job_scheduled", catalogue.find("job_scheduled"), Verdict(Status.UNKNOWN, "hidden"))

    def report(*results: CheckResult) -> Report:
        return Report("production", ("auto-sync-cron-job",), datetime.now(UTC), results)

    alone = report(optional)
    assert (alone.status, alone.exit_code(), alone.exit_code(strict=True)) == (Status.WARNING, 0, 3)
    assert alone.root_causes == (optional,), "it is said all the same"
    assert as_json.report(alone)["checks"][0]["status"] == "unknown"
    assert as_github.annotations(alone).startswith("::warning title=legacy_keys_off::")
    assert as_nagios.EXIT_CODES[alone.status] == 1
    assert 'autosync_healthy{target="production",job="auto-sync-cron-job"} 1' in as_prometheus.report(alone)
    assert 'errors="0" skipped="1"' in as_junit.report(alone)
    assert report(optional, warning).root_causes == (warning, optional), "of one weight, along the chain"
    # near-miss: what nobody could look at and a call needs
    both = report(optional, unseen)
    assert (both.status, both.exit_code(), both.root_causes[0]) == (Status.UNKNOWN, 3, unseen)
    assert 'errors="1" skipped="1"' in as_junit.report(both)


def test_a_verdict_keeps_the_facts_of_its_findings_and_leaves_out_what_only_informs() -> None:
    rows = [Row("ok", "a", "fine", {"job_id": 1}), Row("warning", "b", "odd", {"job_id": 2})]
    assert [item.facts for item in judge_rows(rows, "claim").evidence] == [{"job_id": 2}]


def test_control_characters_leave_the_words_and_stay_in_the_facts() -> None:
    row = Row("critical", "role a\nb", "may\x1b[2J log in", {"role": "a\nb"})
    assert (row.object, row.detail, row.facts) == ("role a b", "may [2J log in", {"role": "a\nb"})


def test_what_waits_for_a_cause_is_one_line_unless_all_is_asked_for() -> None:
    checks = list(catalogue.all_checks().items())
    blocked, seen = Verdict(Status.UNKNOWN, "could not look"), Verdict(Status.CRITICAL, "gone")
    results = [CheckResult("pg_cron_installed", catalogue.find("pg_cron_installed"), seen)]
    results += [CheckResult(id, check, blocked, ("pg_cron_installed",)) for id, check in checks[-20:]]
    results.append(CheckResult("job_active", catalogue.find("job_active"), blocked, ("pg_cron_installed", "x")))
    report = Report("production", ("auto-sync-cron-job",), datetime.now(UTC), tuple(results))

    def shown(*, show_all: bool) -> str:
        out = StringIO()
        as_text.report(report, Console(file=out, width=200), show_all=show_all)
        return out.getvalue()

    short = shown(show_all=False)
    line = "20 checks wait for pg_cron_installed; 1 check waits for pg_cron_installed and x; -v lists them"
    assert [text for text in short.splitlines() if "blocked" in text] == [f"blocked  {line}"]
    assert shown(show_all=True).count("explained by") == 21
