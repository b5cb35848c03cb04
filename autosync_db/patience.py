"""How long a command waits for a database that says nothing: a server that hangs must not hang the command."""

# longer than any statement_timeout that commands set themselves
STATEMENT_SECONDS = 90.0
# one migration may wait for another, and rewrite a large table
MIGRATION_SECONDS = 600.0
# libpq's parameters, so that a machine or a network that is gone is noticed by the system within about a minute
OF_THE_LINE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}


class Chosen:
    """What the user wants for the running command."""

    seconds: float | None = None
    """From --timeout; None where the kind of work decides."""


def of_connecting(seconds: int) -> int:
    """Return how long to wait for a connection: so many seconds, or less where the user wants less."""
    return max(1, min(seconds, round(Chosen.seconds or seconds)))
