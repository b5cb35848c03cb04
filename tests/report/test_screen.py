"""Tables, times and texts for terminals of any width."""

import io
import re
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from autosync_db.report import as_markdown, lines, screen
from autosync_db.report.screen import Cell, Column

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
WORDS = st.text(alphabet="abc 器é\n\x1b[]", max_size=300)
IDS = st.uuids().map(str)
ROWS = st.tuples(IDS, st.sampled_from(["ok", "failing x12"]), IDS, WORDS, IDS)


def _shown(width: int, rows: list[tuple[object, ...]]) -> list[str]:
    out = io.StringIO()
    short = screen.shortened(id for id, *_ in rows)
    cells = [(Cell(str(id), short[str(id)]), *rest) for id, *rest in rows]
    columns = [
        Column("id"),
        Column("state"),
        Column("when", leaves=1),
        Column("reason", wraps=True, leaves=2),
        Column("more", leaves=3, is_optional=True),
    ]
    screen.table(columns, cells, Console(file=out, width=width, force_terminal=True, color_system=None))
    return out.getvalue().splitlines()


@given(st.lists(ROWS, min_size=1, max_size=4, unique=True), st.integers(40, 260))
def test_no_line_of_a_table_is_wider_than_the_terminal_and_no_id_is_cut(
    rows: list[tuple[str, str, str, str, str]], width: int
) -> None:
    shown = _shown(width, list(rows))
    assert all(cell_len(line) <= width for line in shown), shown
    assert not any("\x1b" in line for line in shown)
    words = set(" ".join(shown).replace(";", " ").split())
    for id, state, other, _, _ in rows:
        assert {word for word in words if len(word) >= 8 and id.startswith(word)}, (id, shown)
        assert other in words, "whole, or on a line below"
        assert state.split()[0] in words


@given(st.lists(IDS, min_size=1, max_size=30, unique=True))
def test_the_beginnings_of_ids_are_those_of_one_each(ids: list[str]) -> None:
    found = screen.shortened(ids)
    assert len(set(found.values())) == len(ids)
    for id, short in found.items():
        assert [other for other in ids if other.startswith(short)] == [id]
        assert len(short) >= 8


def test_ids_that_begin_alike_are_shown_with_more_of_them() -> None:
    ids = [uuid.UUID(f"0a1b2c3d-0000-4000-8000-00000000000{number}") for number in range(3)]
    assert set(screen.shortened(ids).values()) == {str(id) for id in ids}


def test_a_command_is_never_broken_and_prose_is() -> None:
    way = "autosync-db schedules list --target staging --config 'a folder/autosync.toml' --state overdue"
    text = f"see why the function leaves them: {way}, and its log; then: autosync-db verify"
    for width in (40, 60, 80, 120):
        found = [line.plain for line in lines.wrapped(Text(text), width)]
        assert any(way in line for line in found)
        assert all(len(line) <= width or line.rstrip(",") == way for line in found), found
        assert " ".join(found) == text
        # what stands behind a command would be pasted with it
        assert width == 120 or any(line.endswith(f"{way},") for line in found), found
    assert len(lines.wrapped(Text("autosync-db is no command here " * 9), 40)) > 5


def test_a_moment_says_how_long_ago_and_when() -> None:
    for gap, full, short in (
        (timedelta(seconds=12), "12 s ago (11:59:48)", "12 s ago (11:59)"),
        (timedelta(seconds=-270), "in 4 min (12:04:30)", "in 4 min (12:04)"),
        (timedelta(hours=13, minutes=5), "13 h 5 min ago (22:55:00)", "13 h ago (22:55)"),
        (timedelta(days=3), "3 days ago (11-25 12:00)", "3 days ago (11-25 12:00)"),
        (timedelta(days=400), "400 days ago (2025-10-24 12:00)", "400 days ago (2025-10-24)"),
    ):
        found = screen.when(NOW - gap, NOW)
        assert (found.full, found.short) == (full, short)
    assert screen.when(None, NOW).full == "never"


def test_code_on_a_page_stays_in_its_lines() -> None:
    """Broken at the edge of the terminal, half of a comment would be SQL in a query that is copied."""
    line = "-- " + "a comment that is longer than the terminal is wide, " * 3
    out = io.StringIO()
    console = Console(file=out, width=60, force_terminal=True, no_color=True)
    as_markdown.page(f"# a page\n\n{'prose ' * 30}\n\n```sql\n{line}\nselect 1\n```\n", console)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert line.rstrip() in [one.rstrip() for one in lines]
    assert max(len(one.rstrip()) for one in lines if one.startswith("prose")) <= 60
