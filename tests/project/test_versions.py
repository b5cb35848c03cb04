"""What the suite runs on: AUTOSYNC_TEST_EXPECT names it, so that a matrix that tests one version twice turns red."""

import os
import platform
import re
from collections.abc import Callable

import psycopg

from tests.support.clusters import Row

EXPECTED = os.environ.get("AUTOSYNC_TEST_EXPECT", "")


def seen(connection: psycopg.Connection[Row]) -> dict[str, str]:
    """Return the versions of the server, of what is loaded into it, and of Python."""
    extensions = connection.execute(
        "select extname, extversion from pg_extension where extname in ('pg_cron', 'pg_net')"
    )
    (server,) = connection.execute("select current_setting('server_version')").fetchone() or ("",)
    return {
        "postgresql": server.split()[0],
        **dict(extensions.fetchall()),
        "python": platform.python_version(),
    }


def wrong(found: dict[str, str], expected: str) -> list[str]:
    """Return what of NAME=VERSION pairs is not so; a version may be given in part: 17 is 17.6, and not 170."""
    pairs = [pair.partition("=")[::2] for pair in expected.split()]
    return [
        f"{name} is {found.get(name)}, not {version}"
        for name, version in pairs
        if not re.match(rf"{re.escape(version)}(?![0-9])", found.get(name) or "")
    ]


def test_the_suite_runs_on_the_versions_that_it_says(
    transaction: psycopg.Connection[Row], record_property: Callable[[str, object], None]
) -> None:
    found = seen(transaction)
    record_property("versions", ", ".join(f"{name} {version}" for name, version in found.items()))
    assert wrong(found, EXPECTED) == []


def test_other_versions_are_seen() -> None:
    found = {"postgresql": "17.6", "pg_cron": "1.6", "python": "3.13.5"}
    for expected in ("", "postgresql=17 pg_cron=1.6", "postgresql=17.6 python=3.13"):
        assert wrong(found, expected) == [], expected
    for expected in ("postgresql=15", "postgresql=1", "postgresql=17 pg_cron=1.4", "pg_nothing=1"):
        assert wrong(found, expected), expected
