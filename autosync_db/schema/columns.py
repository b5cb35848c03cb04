"""The columns that the newest revision gives our tables, and how a database's own tables compare with them."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from psycopg import sql

from autosync_db import resources

_TABLES = "templates/supabase/schemas/tables.sql"
_UNLOGGED = re.compile(r"^create unlogged table ([\w.]+) \(", re.MULTILINE)
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


# what keeps rows from being written: a view in the place of a table, a column that nobody here fills, and a publication
# that sends the updates of a table whose rows it cannot tell apart; and what keeps them from staying
_UNWRITABLE = """
select coalesce(jsonb_agg(jsonb_build_array(w.relation, f.reason, f.name) order by w.relation, f.reason, f.name), '[]')
from (
    select u.relation, array_agg(u.name) as names
    from unnest({tables}::text[], {names}::text[]) as u (relation, name)
    group by u.relation
) as w
join pg_catalog.pg_class as c on c.oid = to_regclass(w.relation)
cross join lateral (
    select 'view' as reason, null as name
    where c.relkind not in ('r', 'p')
    union all
    select 'not_null', a.attname
    from pg_catalog.pg_attribute as a
    where c.relkind in ('r', 'p') and a.attrelid = c.oid and a.attnum > 0 and a.attname <> all (w.names)
        and a.attnotnull and not a.atthasdef and a.attidentity = '' and not a.attisdropped
        -- whoever adds schedules knows the columns of their own
        and w.relation <> 'public.auto_sync_schedules'
    union all
    select case when exists (select from pg_catalog.pg_index as i where i.indrelid = c.oid and i.indisprimary)
        then 'replica_identity' else 'primary_key' end, min(p.pubname)
    from pg_catalog.pg_publication as p
    join pg_catalog.pg_publication_tables as t on t.pubname = p.pubname
    where t.schemaname || '.' || t.tablename = w.relation and (p.pubupdate or p.pubdelete)
        and not case c.relreplident
            when 'f' then true
            when 'd' then exists (select from pg_catalog.pg_index as i where i.indrelid = c.oid and i.indisprimary)
            when 'i' then exists (select from pg_catalog.pg_index as i where i.indrelid = c.oid and i.indisreplident)
            else false
        end
    having count(*) > 0
    union all
    -- what a crash of the server takes away, and what it has to take away to be noticed
    select case c.relpersistence when 'u' then 'unlogged' else 'logged' end, null
    where c.relkind = 'r' and (c.relpersistence = 'u') <> (w.relation = any ({unlogged}::text[]))
) as f
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
    """Return the query of what is not as expected, as one JSON value; a table may not be there at all."""
    tables, names, types = (sql.Literal(list(values)).as_string() for values in zip(*expected(), strict=True))
    different = _DIFFERENT.format(tables=tables, names=names, types=types)
    unlogged = sql.Literal(_UNLOGGED.findall(resources.read(_TABLES))).as_string()
    unwritable = _UNWRITABLE.format(tables=tables, names=names, unlogged=unlogged)
    return f"select jsonb_build_object('different', ({different}), 'unwritable', ({unwritable}))"


def unwritable(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return table, reason and what keeps rows from being written there, by the answer to `question`."""
    return [
        (
            table,
            reason,
            {
                "view": "is a view, not a table",
                "unlogged": "is unlogged: a crash of the server empties it",
                "logged": "is logged: it outlives a crash of the server, which nothing else here notices",
                "not_null": f"has the column {name}, which takes no null and has no default: no row can be written",
            }.get(
                reason,
                f"the publication {name} sends its updates, and it has no replica identity: no row can be changed",
            ),
        )
        for table, reason, name in found["unwritable"]
    ]


def answered(found: Mapping[str, Any]) -> list[tuple[str, str | None, str]]:
    """Return table, column and what is wrong, by the answer to `question`; no column where the table is gone."""
    wrong: dict[tuple[str, str | None], str] = {}
    for table, column, wanted, is_there, type_ in found["different"]:
        if not is_there:
            wrong[table, None] = "does not exist"
        elif type_ is None:
            wrong[table, column] = f"column {column} is missing: {wanted}"
        else:
            wrong[table, column] = f"column {column} is {type_}, not {wanted}"
    return [(table, column, detail) for (table, column), detail in wrong.items()]
