"""The clocks of this machine and of the server agree."""

from datetime import UTC, datetime, timedelta
from typing import cast

from autosync_db.checks.model import Check, Row
from autosync_db.config import Configuration
from autosync_db.connection import Connection

TOLERANCE = timedelta(seconds=60)


def _own_clock() -> datetime:
    return datetime.now(UTC)


def _look(connection: Connection, _configuration: Configuration) -> list[Row]:
    before = _own_clock()
    answer = connection.execute("select pg_catalog.clock_timestamp()").fetchone()
    after = _own_clock()
    server = cast("tuple[datetime]", answer)[0]
    # the answer was read at some moment between the two, so a slow network alone is no difference
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
        )
    ]


CHECK = Check(
    layer="server",
    claim="the clocks of this machine and of the server agree",
    remedy="timedatectl set-ntp true  # on the machine whose clock is wrong",
    look=_look,
)
