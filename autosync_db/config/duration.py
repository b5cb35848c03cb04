"""Durations as people write them in configuration files and flags."""

import re
from datetime import timedelta

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "second": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "minute": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "hour": timedelta(hours=1),
    "d": timedelta(days=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def parse(text: str) -> timedelta:
    """Return the duration that `text` spells: `30s`, `1h 30m`, `7 days`, `250ms`.

    Raises ValueError with the accepted forms when the text is anything else, or not longer than zero.
    """
    total, position = timedelta(), 0
    lowered = text.strip().lower()
    while position < len(lowered):
        part = _PART.match(lowered, position)
        # only whole words have a plural
        unit = part and (_UNITS.get(part[2]) or (len(part[2]) > 3 and _UNITS.get(part[2].removesuffix("s"))))
        if part is None or not unit:
            raise ValueError(f"{text!r} is not a duration; write it like 30s, 10m, 1h 30m or 7 days")
        try:
            total += float(part[1]) * unit
        except OverflowError:
            raise ValueError(f"{part[0].strip()[:20]!r} is longer than any duration") from None
        position = part.end()
    if total <= timedelta():
        raise ValueError(f"{text!r} is not a duration longer than zero; write it like 30s, 10m or 7 days")
    return total


def describe(duration: timedelta) -> str:
    """Return `duration` in its one or two largest units: `45 s`, `12 min`, `3 h 20 min`, `40 days`."""
    if duration < timedelta():
        return "in the future"
    seconds = int(duration.total_seconds())
    if seconds < 60:
        return f"{duration.total_seconds():.1f} s" if seconds < 10 else f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"
