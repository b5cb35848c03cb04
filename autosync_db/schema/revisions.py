"""Which revisions this package knows and which one a database is at, without Alembic: looking starts quickly."""

import re
from dataclasses import dataclass, field

from psycopg import sql

from autosync_db import resources
from autosync_db.connection import Connection
from autosync_db.errors import MigrationError

SCHEMA = "autosync"
# any constant will do, as long as all that changes this schema uses the same; the ASCII codes of "autosync"
ADVISORY_LOCK = 0x6175746F73796E63
# run before the first revision: declarative schema files may have made its tables
MAKE_WAY = "alembic/make_way.sql"
_DECLARED = """
    select to_regclass('autosync.alembic_version') is not null and to_regclass('autosync.object') is not null
        and to_regclass('autosync.job') is not null and to_regprocedure('autosync.dispatch(text)') is not null
"""


@dataclass(slots=True)
class MigrationResult:
    """What a migration did."""

    before: str | None = None
    after: str | None = None
    revisions: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    # what the server wants somebody to know, e.g. of rows that an adoption changed
    warnings: list[str] = field(default_factory=list)
    # tables that held rows and are gone
    emptied: list[str] = field(default_factory=list)


def known() -> list[str]:
    """Return the ids of all revisions, oldest first: files are named by them, and they are in order."""
    return [name[:4] for name in resources.names("alembic/versions", ".py") if re.match(r"\d{4}_", name)]


def named(text: str) -> str:
    """Return the revision that is meant by `8` or `0008`; any other word as it is."""
    return next((one for one in known() if text.isdecimal() and int(one) == int(text)), text)


def head() -> str:
    """Return the newest revision that this package knows."""
    return known()[-1]


def current(connection: Connection) -> str | None:
    """Return the revision that the database is at, None for an empty one. Reads only.

    Raises MigrationError when it is one that this version of the package does not know, or when there are several.
    """
    if connection.execute(f"select to_regclass('{SCHEMA}.alembic_version')").fetchone() == (None,):
        return None
    found = [
        str(name)
        for (name,) in connection.execute(
            f"select version_num from {SCHEMA}.alembic_version order by version_num"  # noqa: S608 - constant
        )
    ]
    if len(found) > 1:
        # what verify prints, too (head_applied)
        others = sql.SQL("delete from autosync.alembic_version where version_num != {}").format(sql.Literal(found[-1]))
        raise MigrationError(
            f"autosync.alembic_version names {len(found)} revisions at once: {', '.join(found)}",
            hint=f"run: {others.as_string()}; then: autosync-db migrate",
        )
    return check_known(found[0]) if found else None


def is_declared(connection: Connection) -> bool:
    """Return whether the database is at no revision, and yet has what the last one makes: from declarative files."""
    return current(connection) is None and connection.execute(_DECLARED).fetchone() == (True,)


def check_known(found: str) -> str:
    """Return the revision that a database is at. Raises MigrationError when this version does not know it."""
    if found not in known():
        raise MigrationError(
            f"the database is at revision {found}, which this version of autosync-db does not know",
            hint="upgrade autosync-db: the database was migrated by a newer one",
        )
    return found
