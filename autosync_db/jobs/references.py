"""Texts of cron jobs that were given back and read a secret from the store, as autosync.secret_reference() says it."""

import re

from autosync_db.connection import Connection, exists, rows
from autosync_db.jobs import found

_REFERENCE = re.compile(
    r"\(select s\.secret from public\.pg_cron_secrets as s where s\.name = '([^']+)'\)"
    r"|\(select v\.decrypted_secret from vault\.decrypted_secrets as v where v\.name = '(?:autosync\.)?([^']+)'\)"
)
_TO_BE_READ = r"""
select distinct m.found[1], substr(a.object, length('cron job ') + 1)
from autosync.adopted as a
cross join lateral regexp_matches(a.undo, 'autosync\.secret_reference\(''([^'']+)''\)', 'g') as m (found)
where a.object like 'cron job %'
order by 1, 2
"""


_INACTIVE = r"""
select substr(a.object, length('cron job ') + 1), a.undo like '%***%' and a.undo not like '%autosync.secret_reference(%'
from autosync.adopted as a
where a.object like 'cron job %' and a.undo like '%active := false%'
order by 1
"""


def names_in(text: str) -> list[str]:
    """Return the secrets that a text reads so."""
    return sorted({one or other for one, other in _REFERENCE.findall(text)})


def without(text: str) -> str:
    """Return a text without what reads secrets so."""
    return _REFERENCE.sub("", text)


def to_be_read(connection: Connection) -> dict[str, str]:
    """Return the secrets that jobs read again when they are given back, with the name of a job."""
    return dict(rows(connection, _TO_BE_READ)) if exists(connection, "autosync.adopted") else {}


def inactive(connection: Connection) -> dict[str, bool]:
    """Return the jobs that are inactive when they are given back, and of each whether its text lacks a secret then."""
    return dict(rows(connection, _INACTIVE)) if exists(connection, "autosync.adopted") else {}


def readers(connection: Connection, name: str) -> list[str]:
    """Return the cron jobs whose text reads this secret so, now or when it is given back."""
    now = [job.name or str(job.id) for job in found.jobs(connection) if name in names_in(job.command)]
    return list(dict.fromkeys([*now, *(job for one, job in to_be_read(connection).items() if one == name)]))
