"""The cron jobs beside ours as several checks look at them: their texts are read once for a verify.

What reads them is loaded where there are any.
"""

import weakref
from datetime import datetime
from typing import TYPE_CHECKING

from autosync_db.connection import Connection
from autosync_db.health.model import Answer

if TYPE_CHECKING:
    from autosync_db.jobs.twins import OtherJob

_SOME = """exists (
        select
        from cron.job as c
        where c.active and c.database = current_database()
            and not exists (select from autosync.job as j where j.name = c.jobname and not j.watch){besides}
    )"""
# whether there are any, for a query; and whether there are any that only do what is theirs
ARE_THERE_AT_ALL = _SOME.format(besides="")
ARE_THERE = _SOME.format(besides=" and c.command !~ 'autosync\\.'")

_read: "tuple[weakref.ref[Connection], datetime, list[OtherJob]] | None" = None


def read(answer: Answer) -> "list[OtherJob]":
    """Return the other jobs with what they do. Raises UsageError where PostgreSQL's parser is not installed."""
    global _read
    if _read is not None and _read[0]() is answer.connection and _read[1] == answer.asked_at:
        return _read[2]
    from autosync_db.jobs import twins
    from autosync_db.jobs.texts import command_text

    command_text.require_parser()
    found = twins.others(answer.connection)
    _read = (weakref.ref(answer.connection), answer.asked_at, found)
    return found
