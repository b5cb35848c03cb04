"""Addresses of databases that were copied with something around them, or are written for another program."""

import re

from autosync_db.errors import UsageError

_NAMED = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*[\"']?postgres(?:ql)?://")
_DRIVER = re.compile(r"postgres(?:ql)?(\+[a-z0-9]+)://")
# parameters of other programs' pools and drivers; libpq refuses what it does not know
_FOREIGN = {
    "pgbouncer", "connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size", "schema", "sslaccept",
    "sslidentity", "supa", "workaround", "uselibpqcompat", "ssl", "prepared_statements", "prepare", "pool_mode",
    "max_connections", "idle_timeout", "search_path", "currentSchema", "prepareThreshold",
}  # fmt: skip


def explain(text: str) -> UsageError | None:
    """Return what is wrong with an address that libpq cannot read, None where nothing is known; quotes none of it."""
    alone = "pass the address alone: it begins with postgresql://"
    if re.match(r"[\"']", text) and text[-1] == text[0]:
        return UsageError(
            "the database URL has quotation marks around it, which are part of its value",
            hint=f"{alone}; a shell takes them off, the secrets of a CI system and some files of variables do not",
        )
    if found := _NAMED.match(text):
        return UsageError(f"the database URL begins with the name of a variable, {found[1]}=", hint=alone)
    if re.match(r"psql\b", text):
        return UsageError("the database URL is a command of psql", hint=alone)
    if text.startswith("jdbc:"):
        return UsageError(
            "the database URL is one for JDBC", hint="write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    if text.startswith(("prisma:", "prisma+postgres:")):
        return UsageError(
            "the database URL is one of Prisma's proxy, which takes no other client",
            hint="pass the address of the database itself: it begins with postgresql://",
        )
    if found := _DRIVER.match(text):
        return UsageError(
            "the database URL names a driver, as SQLAlchemy has it", hint=f"leave {found[1]} out: postgresql://..."
        )
    names = re.findall(r"[?&]([A-Za-z_]+)=", text)
    if foreign := [name for name in names if name in _FOREIGN]:
        return UsageError(
            f"the database URL has what only another program knows: {', '.join(foreign)}",
            hint="export AUTOSYNC_DATABASE_URL with the address without that, and leave the other variable as it is",
        )
    return None
