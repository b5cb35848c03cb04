"""What a report means to whoever started the command, without a database."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from autosync_db.errors import ExitCode
from autosync_db.health import catalogue
from autosync_db.health.model import CheckResult, Report, Row, Status, Verdict, judge_rows
from autosync_db.report import as_text


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
