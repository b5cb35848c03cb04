"""The extensions that a migration makes where they are missing: which it made, and what else needs them. Reads only."""

import re
from collections.abc import Collection

from autosync_db import resources
from autosync_db.connection import Connection, exists, rows
from autosync_db.jobs import found
from autosync_db.jobs.found import FoundJob

WANTED = ("pg_net", "pg_cron")
_NET = re.compile(r'\bnet"?\s*\.', re.IGNORECASE)
_MADE_HERE = """
select e.extname
from autosync.setting as s
cross join lateral jsonb_each_text(s.value) as m (name, oid)
join pg_catalog.pg_extension as e on e.extname = m.name and cast(cast(e.oid as bigint) as text) = m.oid
where s.name = 'extensions_made'
"""


def made_here(connection: Connection) -> set[str]:
    """Return those that a migration has made here, and nobody has made again since."""
    if not exists(connection, "autosync.setting"):
        return set()
    return {name for (name,) in rows(connection, _MADE_HERE)}


def needs(connection: Connection, extension: str, jobs: Collection[FoundJob]) -> list[str]:
    """Return what needs an extension besides us; `jobs` are those cron jobs that are somebody else's."""
    users = [
        needed_by
        for name, needed_by in rows(connection, resources.read("sql/teardown/extension_users.sql").encode())
        if name == extension
    ]
    users += [f"the cron job {called(job)}" for job in jobs if extension == "pg_cron" or _NET.search(job.command)]
    if found.hides_others(connection):
        users.append("cron jobs of other roles, which this role may not see")
    return users


def called(job: FoundJob) -> str:
    """Return the name of a cron job, or its number."""
    return job.name or f"{job.id} (without a name)"
