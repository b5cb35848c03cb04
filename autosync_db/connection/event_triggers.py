"""Somebody's event trigger that refuses what a statement does: which one, and how its owner lets it pass."""

from typing import Any

import psycopg

from autosync_db.errors import MigrationError

# in the context of an error a function has its schema only where that is needed to find it
_NAMED = """
    select quote_ident(e.evtname), quote_ident(pg_get_userbyid(e.evtowner)),
        case e.evtenabled when 'A' then 'enable always' when 'R' then 'enable replica' else 'enable' end
    from pg_catalog.pg_event_trigger as e
    join pg_catalog.pg_proc as p on p.oid = e.evtfoid
    join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
    cross join lateral (
        select ' ' || quote_ident(p.proname) || '() ' as bare,
            ' ' || quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '() ' as qualified
    ) as f
    where e.evtenabled <> 'D' and (strpos(%(context)s, f.bare) > 0 or strpos(%(context)s, f.qualified) > 0)
    order by e.evtname
"""


def explain(connection: psycopg.Connection[Any], error: psycopg.Error) -> MigrationError | None:
    """Return which event trigger raised an error, None where none did or that cannot be seen.

    Ends the transaction that failed.
    """
    context = error.diag.context or ""
    if "function" not in context or connection.closed or connection.broken:
        return None
    try:
        connection.rollback()
        found = connection.execute(_NAMED, {"context": f"{context} "}).fetchall()
        connection.rollback()
    except psycopg.Error:
        return None
    if not found:
        return None
    owners = " and ".join(dict.fromkeys(owner for _, owner, _ in found))
    off = "; ".join(f"alter event trigger {name} disable" for name, *_ in found)
    on = "; ".join(f"alter event trigger {name} {state}" for name, _, state in found)
    names = " and ".join(name for name, *_ in found)
    said = error.diag.message_primary or type(error).__name__
    what = "event trigger" if len(found) == 1 else "event triggers"
    # its author may know better what to do
    advice = f"{error.diag.message_hint}; or " if error.diag.message_hint else ""
    return MigrationError(
        f"the {what} {names} refused a change of the schema: {said}; it was not made",
        hint=f"{advice}as {owners} run: {off}; run this command again; then: {on}",
    )
