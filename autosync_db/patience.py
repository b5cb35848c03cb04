"""How long a command waits for a database that says nothing: a server that hangs must not hang the command."""

# longer than any statement_timeout that commands set themselves
STATEMENT_SECONDS = 90.0
# one migration may wait for another, and rewrite a large table
MIGRATION_SECONDS = 600.0
# libpq's parameters, so that the system notices within about a minute that a machine or a network is gone
KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}


class Timeout:
    """What --timeout says for the running command."""

    seconds: float | None = None
    """How long one statement may take; None where it was not given, and the kind of work decides."""


def connect_seconds(seconds: int) -> int:
    """Return how long to wait for a connection: so many seconds, or fewer where --timeout is shorter."""
    return max(1, min(seconds, round(Timeout.seconds or seconds)))
