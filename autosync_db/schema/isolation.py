"""Which mode of isolation a database has: the choice is kept in autosync.setting, where sql/access/ reads it."""

from psycopg import sql
from psycopg.types.json import Jsonb

from autosync_db.config import IsolationSettings
from autosync_db.connection import Connection, exists

# the file that makes policies and grants of the choice
ACCESS_FILE = "sql/access/public.auto_sync_schedules.sql"


def stored(connection: Connection) -> IsolationSettings:
    """Return the mode that the database was last given, or the default."""
    if not exists(connection, "autosync.setting"):
        return IsolationSettings()
    row = connection.execute("select value from autosync.setting where name = 'isolation'").fetchone()
    return IsolationSettings.model_validate(row[0]) if row else IsolationSettings()


def announcement(chosen: IsolationSettings | None) -> str:
    """Return the statement that lets the revisions of this transaction read what was chosen, if anything was."""
    value = chosen.model_dump_json() if chosen is not None else ""
    return sql.SQL("select set_config('autosync.isolation', {}, true);").format(sql.Literal(value)).as_string()


def choice(chosen: IsolationSettings) -> sql.Composed:
    """Return the statement that stores a choice."""
    return sql.SQL(
        "with decided as (delete from autosync.setting where name = 'isolation_undecided')"
        " insert into autosync.setting as s (name, value) values ('isolation', {}) on conflict (name) do update"
        " set value = excluded.value, updated_at = clock_timestamp() where s.value <> excluded.value"
    ).format(sql.Literal(Jsonb(chosen.model_dump())))


def choose(connection: Connection, chosen: IsolationSettings) -> None:
    """Store a choice; where it is another than before, the next objects.apply() acts on it."""
    before = stored(connection)
    connection.execute(choice(chosen))
    if chosen != before:
        connection.execute("delete from autosync.object where path = %s", [ACCESS_FILE])
