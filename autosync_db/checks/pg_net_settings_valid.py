"""The settings of pg_net are such that its worker can work."""

import psycopg

from autosync_db.checks.model import Check, Row
from autosync_db.config import Configuration
from autosync_db.connection import Connection

# the stand-in has no library, so its settings are placeholders, which pg_settings leaves out
_SETTINGS = """
select n.name,
    case
        when obj_description(e.oid, 'pg_extension') like 'stand-in%%' then current_setting(n.name, true)
        else (select s.setting from pg_catalog.pg_settings as s where s.name = n.name)
    end,
    obj_description(e.oid, 'pg_extension') like 'stand-in%%' or pg_has_role('pg_read_all_settings', 'usage')
from pg_catalog.pg_extension as e
cross join (values ('pg_net.ttl'), ('pg_net.batch_size'), ('pg_net.username')) as n (name)
where e.extname = 'pg_net'
"""

_LACKING = """
select w.name, w.privilege
from (values
    ('http_request_queue', 'SELECT'), ('http_request_queue', 'DELETE'),
    ('_http_response', 'SELECT'), ('_http_response', 'INSERT'), ('_http_response', 'DELETE')
) as w (name, privilege)
join pg_catalog.pg_class as c on c.relname = w.name
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'net'
join pg_catalog.pg_roles as r on r.rolname = %s
where not has_table_privilege(r.oid, c.oid, w.privilege)
order by 1, 2
"""


def _look(connection: Connection, _configuration: Configuration) -> list[Row]:
    found = connection.execute(_SETTINGS).fetchall()
    if not found:
        return [Row("unknown", "extension pg_net", "is not installed")]
    values = {name: value for name, value, _ in found}
    if not all(is_visible for *_, is_visible in found):
        return [Row("unknown", "settings pg_net.*", "are hidden from this role; as a superuser grant it pg_monitor")]
    return [
        Row("critical", f"setting {name}", detail)
        for name, detail in (
            ("pg_net.ttl", _fault_of_ttl(connection, values["pg_net.ttl"])),
            ("pg_net.batch_size", _fault_of_batch_size(values["pg_net.batch_size"])),
            ("pg_net.username", _fault_of_username(connection, values["pg_net.username"])),
        )
        if detail
    ]


def _fault_of_ttl(connection: Connection, text: str | None) -> str | None:
    if not text:
        return None
    try:
        # a text that is no interval raises, as it does in the worker
        with connection.transaction():
            row = connection.execute("select %s::interval > interval '0'", [text]).fetchone()
    except psycopg.DataError:
        return f"is {text!r}, which is no interval, so the worker ends as soon as it starts"
    return None if row == (True,) else f"is {text!r}, so every answer is deleted at once"


def _fault_of_batch_size(text: str | None) -> str | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        return f"is {text!r}, which is no number"
    return "is 0, so no request is ever taken from the queue" if int(text) == 0 else None


def _fault_of_username(connection: Connection, name: str | None) -> str | None:
    if not name:
        return None
    row = connection.execute(
        "select r.rolcanlogin from pg_catalog.pg_roles as r where r.rolname = %s", [name]
    ).fetchone()
    if row is None:
        return f"is {name!r}, and there is no such role, so the worker cannot connect"
    if row == (False,):
        return f"is {name!r}, which may not log in, so the worker cannot connect"
    lacking = connection.execute(_LACKING, [name]).fetchall()
    rights = ", ".join(f"{privilege.lower()} on net.{table}" for table, privilege in lacking)
    return f"is {name!r}, which lacks {rights}, so the worker ends when it starts to work" if rights else None


CHECK = Check(
    layer="net",
    claim="the settings of pg_net are such that its worker can work",
    remedy=(
        "alter system reset pg_net.ttl; -- or the setting named above, as a superuser,"
        " then: select net.worker_restart();"
    ),
    needs=("pg_net_installed", "pg_net_preloaded"),
    look=_look,
)
