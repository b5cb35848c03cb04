"""The columns that the newest revision gives our tables, and how a database's own compare with them."""

import re
from functools import cache
from typing import Any

from psycopg import sql

from autosync_db import resources

_TABLES = "templates/supabase/schemas/tables.sql"
_TABLE = re.compile(r"^create (?:unlogged )?table ([\w.]+) \(\n(.*?)^\)", re.MULTILINE | re.DOTALL)
# of a constraint every line is further in, or begins with one of these words
_COLUMN = re.compile(
    r"^ {4}(?!constraint |when |else )\"?(\w+)\"? ([a-z].*?)(?: not null| default | generated |,?$)", re.MULTILINE
)
# a text of limited length is read like any other
_DIFFERENT = """
select coalesce(jsonb_agg(jsonb_build_array(w.relation, w.name, w.type, c.oid is not null,
    case when a.attgenerated <> '' then 'generated' else format_type(a.atttypid, a.atttypmod) end)
    order by w.relation, w.place), '[]')
from unnest({tables}::text[], {names}::text[], {types}::text[]) with ordinality as w (relation, name, type, place)
left join pg_catalog.pg_class as c on c.oid = to_regclass(w.relation)
left join pg_catalog.pg_attribute as a
    on a.attrelid = c.oid and a.attname = w.name and a.attnum > 0 and not a.attisdropped
where a.attname is null
    or a.attgenerated <> ''
    or regexp_replace(format_type(a.atttypid, a.atttypmod), '^character varying.*', 'text')
        <> regexp_replace(w.type, '^character varying.*', 'text')
"""


@cache
def expected() -> tuple[tuple[str, str, str], ...]:
    """Return table, column and type of every column of our tables."""
    return tuple(
        (table, name, type_)
        for table, body in _TABLE.findall(resources.read(_TABLES))
        for name, type_ in _COLUMN.findall(body)
    )


@cache
def question() -> str:
    """Return the query of the columns that are not as expected, as one JSON value; a table may not be there at all."""
    tables, names, types = (sql.Literal(list(values)).as_string() for values in zip(*expected(), strict=True))
    return _DIFFERENT.format(tables=tables, names=names, types=types)


def answered(found: list[list[Any]]) -> list[tuple[str, str | None, str]]:
    """Return table, column and what is wrong, by the answer to `question`; no column where the table is gone."""
    wrong: dict[tuple[str, str | None], str] = {}
    for table, column, wanted, is_there, type_ in found:
        if not is_there:
            wrong[table, None] = "does not exist"
        elif type_ is None:
            wrong[table, column] = f"column {column} is missing: {wanted}"
        else:
            wrong[table, column] = f"column {column} is {type_}, not {wanted}"
    return [(table, column, detail) for (table, column), detail in wrong.items()]
