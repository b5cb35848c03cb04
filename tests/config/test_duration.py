"""Durations: what people write, and what they are shown."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosync_db.config import duration

_SECONDS = {
    "ms": 0.001,
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "day": 86400,
    "days": 86400,
    "weeks": 604800,
}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("250ms", 0.25),
        ("10m", 600),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("7 days", 604800),
        ("1 day", 86400),
        ("2 weeks", 1209600),
        ("1.5h", 5400),
        (" 30 S ", 30),
        ("5 minutes", 300),
        ("1 hour", 3600),
    ],
)
def test_a_duration_means_what_it_says(text: str, seconds: float) -> None:
    assert duration.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "soon",
        "30",
        "s",
        "30 parsecs",
        "-5s",
        "5s-",
        "1h,30m",
        "0s",
        "0 days",
        "s30",
        "1e3s",
        "30s x",
        "ss",
        "1 ss",
        "1 s s",
    ],
)
def test_anything_else_is_refused_with_the_accepted_forms(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 30s"):
        duration.parse(text)


@pytest.mark.parametrize("text", ["9" * 30 + " days", "9" * 400 + "s"])
def test_a_duration_beyond_what_can_be_counted_is_refused_alike(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration.parse(text)


@given(st.integers(1, 10_000), st.sampled_from(sorted(_SECONDS)), st.sampled_from(["", " "]))
def test_number_and_unit(number: int, unit: str, gap: str) -> None:
    expected = timedelta(milliseconds=number) if unit == "ms" else timedelta(seconds=number * _SECONDS[unit])
    assert duration.parse(f"{number}{gap}{unit}") == expected


@given(st.text())
def test_no_text_does_anything_but_parse_or_raise_value_error(text: str) -> None:
    try:
        found = duration.parse(text)
    except ValueError:
        return
    assert found > timedelta()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (2.5, "2.5 s"),
        (45, "45 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (12000, "3 h 20 min"),
        (47 * 3600, "47 h"),
        (48 * 3600, "2 days"),
        (40 * 86400, "40 days"),
        (-1, "in the future"),
        (-0.5, "in the future"),
    ],
)
def test_it_is_described_in_its_largest_units(seconds: float, text: str) -> None:
    assert duration.describe(timedelta(seconds=seconds)) == text
