"""The clocks of this machine and of the server agree."""

from datetime import UTC, datetime, timedelta

from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.remedies import ByYou

TOLERANCE = timedelta(seconds=60)


def _query() -> str:
    return "select to_jsonb(clock_timestamp()) as fact"


def _read(answer: Answer) -> list[Row]:
    server = datetime.fromisoformat(answer.values[0])
    before, after = answer.asked_at, answer.answered_at
    # the clock was read at some moment between the two, so a slow network alone is no difference
    ahead, behind = server - after, before - server
    difference = max(ahead, behind)
    if difference <= TOLERANCE:
        return []
    seconds = round(difference.total_seconds())
    direction = "ahead of" if ahead > behind else "behind"
    return [
        Row(
            "warning",
            "server clock",
            f"is {seconds} s {direction} this machine's: {server.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC there,"
            f" {after:%Y-%m-%d %H:%M:%S} UTC here",
            {"seconds": seconds if ahead > behind else -seconds},
        )
    ]


CHECK = Check(
    layer="server",
    claim="the clocks of this machine and of the server agree",
    remedy=ByYou("on the machine whose clock is wrong: timedatectl set-ntp true"),
    question=Question(_query, _read),
)
