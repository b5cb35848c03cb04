"""Every worked date in docs/explanation/next-run-at.md is what the database and the reference say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from autosync_db.schedules.preview import Run, Window, find_zone, next_run, preview

Connect = Callable[..., psycopg.Connection[Any]]

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "next-run-at.md"


def worked() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").split("## Worked examples", 1)[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_page_has_its_table() -> None:
    assert len(worked()) >= 20


@pytest.mark.parametrize("session_zone", ["UTC", "Pacific/Apia", "America/St_Johns"])
def test_the_database_says_so(schedule_db: Connect, session_zone: str) -> None:
    db = schedule_db()
    db.execute("select set_config('TimeZone', %s, false), set_config('DateStyle', 'SQL, DMY', false)", [session_zone])
    for zone, window, last_run, frequency, expected, why in worked():
        start, end = (None, None) if window == "none" else window.split("-")
        answer = db.execute(
            "select extract(epoch from autosync.next_run_at(true, %s, %s, %s, %s, %s, %s, now()))",
            [instant(last_run), int(frequency), start is not None, start, end, zone],
        ).fetchone()
        assert answer is not None
        assert datetime.fromtimestamp(float(answer[0]), UTC) == instant(expected), (zone, window, why)


def test_the_reference_says_so() -> None:
    for zone, window, last_run, frequency, expected, why in worked():
        bounds = None if window == "none" else Window(*(time.fromisoformat(text) for text in window.split("-")))
        answer = next_run(
            enabled=True,
            last_run_at=instant(last_run),
            frequency_minutes=int(frequency),
            window=bounds,
            zone=find_zone(zone),
            at=instant(last_run),
        )
        assert answer == instant(expected), (zone, window, why)


def runs(at: str, zone: str, window: Window | None, frequency: int, count: int) -> list[Run]:
    return list(preview(frequency_minutes=frequency, window=window, zone=find_zone(zone), at=instant(at), count=count))


def test_a_preview_tells_what_the_clocks_did() -> None:
    spring = runs("2026-03-28 12:00", "Europe/Paris", Window(time(2, 30), time(4)), 600, 3)
    assert [f"{run.local:%m-%d %H:%M}" for run in spring] == ["03-29 03:00", "03-30 02:30", "03-31 02:30"]
    assert spring[0].note == "02:30 was skipped, the window opened when the skip ended"
    assert spring[1].note is None
    autumn = runs("2026-10-25 00:10", "Europe/Paris", None, 60, 3)
    assert [f"{run.local:%H:%M}" for run in autumn] == ["02:10", "02:10", "03:10"]
    assert autumn[1].note == "clocks went back 1:00 at 2026-10-25 03:00; the clocks show this time for the second time"
    assert autumn[2].note is None


def test_a_zone_is_found_in_any_case_and_a_wrong_one_is_named() -> None:
    assert find_zone("europe/paris").key == "Europe/Paris"
    with pytest.raises(ValueError, match="Mars/Olympus"):
        find_zone("Mars/Olympus")
