"""The constraints and unique indexes that the newest revision gives our tables, and which of them a database lacks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from psycopg import sql

from autosync_db import resources

_TABLES = "templates/supabase/schemas/tables.sql"
_TABLE = re.compile(r"^create (?:unlogged )?table ([\w.]+) \(\n(.*?)^\);", re.MULTILINE | re.DOTALL)
# to the comma before the next, or to the end
_CONSTRAINT = re.compile(
    r"^ {4}constraint (\w+)\s+((?:primary key|unique|check|foreign key)\b.*?)(?=,\n {4}constraint |\n\Z)",
    re.MULTILINE | re.DOTALL,
)
_UNIQUE_INDEX = re.compile(r"^create unique index (\w+) on ([\w.]+) (using \w+ .*);$", re.MULTILINE)
_COLUMNS = re.compile(r"\(([\w, ]+)\)")

# One that was renamed, or whose condition was changed, is there. Any index of all rows keeps them apart as well.
_LACKING = """
select coalesce(jsonb_agg(jsonb_build_array(w.relation, w.name) order by w.place), '[]')
from unnest({tables}::text[], {names}::text[], {kinds}::text[], {columns}::text[], {texts}::text[])
    with ordinality as w (relation, name, kind, columns, text, place)
join pg_catalog.pg_class as c on c.oid = to_regclass(w.relation) and c.relkind in ('r', 'p')
where not exists (
        select from pg_catalog.pg_constraint as k
        where k.conrelid = c.oid
            and (k.conname = w.name
                or regexp_replace(lower(pg_get_constraintdef(k.oid)), '[[:space:]]', '', 'g') = w.text)
    )
    and not exists (
        select from pg_catalog.pg_index as i
        join pg_catalog.pg_class as x on x.oid = i.indexrelid
        where w.kind in ('key', 'index') and i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null
            and (x.relname = w.name or w.columns = (
                select string_agg(a.attname, ',' order by a.attname)
                from unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) as m (number)
                left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = m.number
                having count(*) = count(a.attname)
            ))
    )
"""

# key: what keeps rows apart, by a constraint; index: the same, by an index alone; rule: what rows must be like
Kind = Literal["key", "index", "rule"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A constraint, or a unique index, as the newest revision has it."""

    table: str
    name: str
    kind: Kind
    text: str

    @property
    def columns(self) -> str:
        """Return the columns that are unique together, in alphabetical order; empty where they are none."""
        found = _COLUMNS.search(self.text) if self.kind == "key" else None
        return ",".join(sorted(found[1].replace(" ", "").split(","))) if found else ""

    @property
    def wrong_rows(self) -> str:
        """Return the query of rows that it does not allow; empty where none are looked for."""
        if self.columns:
            listed = ", ".join(self.columns.split(","))
            return f"select {listed}, count(*) from {self.table} group by {listed} having count(*) > 1"  # noqa: S608 - our own file's
        if self.text.startswith("check"):
            return f"select * from {self.table} where not {' '.join(self.text.removeprefix('check').split())}"  # noqa: S608 - the same
        return ""

    @property
    def statement(self) -> sql.Composable:
        """Return what makes it again."""
        table = sql.Identifier(*self.table.split("."))
        # rows whose own are gone already stay
        later = " not valid" if self.text.startswith("foreign") else ""
        text = sql.SQL(self.text + later)
        if self.kind == "index":
            return sql.SQL("create unique index {} on {} {}").format(sql.Identifier(self.name), table, text)
        return sql.SQL("alter table {} add constraint {} {}").format(table, sql.Identifier(self.name), text)


@cache
def wanted() -> Mapping[tuple[str, str], Wanted]:
    """Return every constraint and unique index of our tables, by table and name."""
    text = resources.read(_TABLES)
    found = [
        Wanted(table, name, "key" if definition.startswith(("primary", "unique")) else "rule", definition)
        for table, body in _TABLE.findall(text)
        for name, definition in _CONSTRAINT.findall(body)
    ]
    found += [Wanted(table, name, "index", definition) for name, table, definition in _UNIQUE_INDEX.findall(text)]
    return {(one.table, one.name): one for one in found}


@cache
def question() -> str:
    """Return the query of those that are missing, as one JSON value; of a table that is not there none is."""
    rows = [
        (one.table, one.name, one.kind, one.columns, re.sub(r"\s", "", one.text.lower())) for one in wanted().values()
    ]
    tables, names, kinds, columns, texts = (sql.Literal(list(values)).as_string() for values in zip(*rows, strict=True))
    return _LACKING.format(tables=tables, names=names, kinds=kinds, columns=columns, texts=texts)


def answered(found: list[list[Any]]) -> list[Wanted]:
    """Return those that are missing, by the answer to `question`."""
    return [wanted()[table, name] for table, name in found]
