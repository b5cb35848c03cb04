"""When a job should have ticked, for the checks that look whether it did."""

from datetime import UTC, datetime, timedelta

from autosync_db import cron

# a tick may wait for the launcher, for a connection and for the ten seconds in which a job may start
_GRACE = timedelta(seconds=90)


def moment(text: str | None) -> datetime | None:
    """Return a moment of an answer; None for none and for infinity."""
    return None if text is None or "infinity" in text else datetime.fromisoformat(text)


def shown(when: datetime | None) -> str:
    """Return a moment as it is printed."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when else "(never)"


def missed(
    schedule: str, last: datetime | None, since: datetime, now: datetime, *, zone: str | None, both_days: bool = False
) -> list[datetime]:
    """Return the two ticks by which a job is late; none when it is not. `since` is when it could first have ticked."""
    expected = cron.ticks_after(schedule, max(since, last) if last else since, zone, both_days=both_days)
    return expected if len(expected) == 2 and expected[1] + _GRACE < now else []
