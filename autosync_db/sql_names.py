"""Names as SQL writes them in a text that a person pastes: quoted where they need it, and only there."""

import re

from autosync_db.plain import printable

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
# what PostgreSQL takes for a word of its own where a name stands: of pg_get_keywords() those of the codes R and T
_RESERVED = """
 all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
 collation column concurrently constraint create cross current_catalog current_date current_role current_schema
 current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch
 for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
 leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer
 overlaps placing primary references returning right select session_user similar some symmetric system_user
 table tablesample then to trailing true union unique user using variadic verbose when where window with
"""


def identifier(name: str) -> str:
    """Return one name; what cannot be shown of it as its number."""
    if _PLAIN.fullmatch(name) and not re.search(rf"\s{re.escape(name)}\s", _RESERVED):
        return name
    quoted = name.replace('"', '""')
    if printable(name).replace("\n", " ") == name:
        return f'"{quoted}"'
    numbered = (one if printable(one) == one and one not in "\\\n" else f"\\+{ord(one):06X}" for one in quoted)
    return f'U&"{"".join(numbered)}"'


def qualified(text: str) -> str:
    """Return a name behind that of its schema, or a setting behind that of its extension."""
    return ".".join(map(identifier, text.split(".", 1)))
