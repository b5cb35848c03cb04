"""Whether a migration would find nothing to do: one question, without Alembic. It is what every run of CI asks."""

import psycopg

from autosync_db.config import IsolationSettings
from autosync_db.connection import Connection
from autosync_db.schema import locks, objects, preflight, revisions
from autosync_db.schema.objects import State
from autosync_db.schema.revisions import MigrationResult

# names are shown as autosync.object_rendering() shows them; jobs belong to the user and are judged by the database
_QUESTION = """
set local search_path = pg_catalog, pg_temp;
{facts};
select o.fact, autosync.jobs_current(),
    (select s.value from autosync.setting as s where s.name = 'isolation'),
    exists (select from autosync.setting as s where s.name = 'isolation_undecided')
from ({objects}) as o
"""


def at(connection: Connection, revision: str, isolation: IsolationSettings | None) -> MigrationResult | None:
    """Return the result of a migration that changes nothing, None when there may be something to do. Reads only.

    Raises what a migration raises on a server that it cannot run on, and on a database that is at a newer revision.
    """
    if revision not in {"head", revisions.head()}:
        return None
    text = _QUESTION.format(facts=preflight.FACTS, objects=objects.question())
    try:
        cursor = connection.execute(f"{locks.begin()}{text}".encode())
        facts, answer = [cursor.fetchone() for _ in cursor.results() if cursor.description][-2:]
    except psycopg.ProgrammingError:
        return None  # something of ours is not there, or not for this role: the migration makes it, or says what
    finally:
        connection.rollback()
    assert facts is not None
    assert answer is not None
    preflight.judge(facts)
    found, jobs_are_current, stored, is_undecided = answer
    if found["revision"] is None or revisions.check_known(found["revision"]) != revisions.head():
        return None
    wanted = objects.available_at(revisions.head())
    if jobs_are_current:
        found["rendered"] |= {file.path: "current" for file in wanted if file.path.startswith("sql/jobs/")}
    states = objects.answered(wanted, found)
    has_others = set(found["recorded"] or ()) - states.keys()
    if has_others or any(state is not State.CURRENT for state in states.values()):
        return None
    if isolation is not None and (is_undecided or isolation != IsolationSettings.model_validate(stored or {})):
        return None
    return MigrationResult(revisions.head(), revisions.head())
