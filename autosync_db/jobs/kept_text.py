"""The text of a cron job as it is kept: without its secrets, which it reads from the store when it is given back."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from autosync_db.connection import Connection
from autosync_db.jobs.found import FoundJob
from autosync_db.jobs.texts import blocks, command_text, literals
from autosync_db.jobs.texts.literals import Literal
from autosync_db.jobs.texts.sql_values import Untranslatable
from autosync_db.secret import Secret
from autosync_db.supabase import judge, key

MASK = "***"
# what of a secret may stand in a text that could not be understood
_TELLING = 4


@dataclass(frozen=True, slots=True)
class KeptText:
    """A text in pieces: what is kept as it was, and names of secrets to read in the place of a value.

    `is_whole`: given back, the text does what it did; else a secret in it could not be replaced and is masked, or it
    `fails` as it is kept.
    """

    pieces: tuple[str | Secret, ...]  # a Secret holds the name of one, to tell it from text
    lost: tuple[str, ...]
    is_whole: bool = True
    fails: str | None = None

    @property
    def shown(self) -> str:
        """The text with what it reads from the store in words."""
        return "".join(f"<the secret {one.reveal()}>" if isinstance(one, Secret) else one for one in self.pieces)

    @property
    def plain(self) -> str:
        """The text with a text of the same type for each secret."""
        return "".join("(select cast('x' as text))" if isinstance(one, Secret) else one for one in self.pieces)


def kept(text: str, pasted: Mapping[str, Secret], homeless: Collection[Secret] = ()) -> KeptText:
    """Return a text without secrets; `pasted` are those that it holds, by the names that they have in the store.

    The `homeless` are stored under no name: there is nothing that the text could read in their place.
    """
    pasted = {name: one for name, one in pasted.items() if one.reveal()}
    pieces = tuple(_merged(_pieces(text, pasted)))
    rest = "".join(one for one in pieces if isinstance(one, str))
    there = {one.reveal() for one in pieces if isinstance(one, Secret)}
    hidden = [one.reveal() for one in (*pasted.values(), *homeless) if one.reveal()]
    is_clean = there == pasted.keys() and _looks_clean(rest) and not any(one in rest for one in hidden)
    if is_clean and (
        not there or _is_valid("".join("(select 'x')" if isinstance(one, Secret) else one for one in pieces))
    ):
        return KeptText(pieces, tuple(pasted))
    masked = _masked(text, hidden)
    return KeptText((key.redact(masked),), tuple(pasted), is_whole=False)


def _looks_clean(text: str) -> bool:
    looks_secret = (Secret(found[0]) for found in key.LOOKS_SECRET.finditer(text))
    return all(key.is_public(one) for one in looks_secret) and not judge.holds_secret(text)


def checked(connection: Connection, text: KeptText) -> KeptText:
    """Return the text, not whole where the server refuses it as it is kept. Runs nothing of it."""
    if not text.is_whole or not any(isinstance(one, Secret) for one in text.pieces):
        return text
    fault = fault_of(connection, text.plain)
    return replace(text, is_whole=False, fails=fault) if fault else text


def fault_of(connection: Connection, text: str) -> str | None:
    """Return why the server refuses a text, None where it does not, as far as that is known without a run of it."""
    try:
        statements = list(_statements(text))
    except (Untranslatable, KeyError, StopIteration) as error:
        return str(error)
    with connection.transaction(force_rollback=True):
        # what a text names without a schema means what it means to the role
        connection.execute("set local search_path to default")
        for statement, is_of_block in statements:
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(b"prepare autosync_kept_text as " + statement.encode())
            except psycopg.errors.UndefinedColumn as error:
                if not is_of_block:  # a variable
                    return error.diag.message_primary
            except (psycopg.errors.SyntaxError, psycopg.errors.IndeterminateDatatype):
                # of a kind that cannot be prepared, or with a part that is known only when it runs
                continue
            except psycopg.DatabaseError as error:
                if connection.broken:
                    raise
                return error.diag.message_primary
            else:
                connection.execute("deallocate autosync_kept_text")
    return None


def undo(job: FoundJob, text: KeptText, name: str) -> sql.Composed:
    """Return the statement that schedules the job as it was; `name` is the one that it has had here since.

    A text that is not whole comes back inactive: it would call with a mask in place of its key.
    """
    command = sql.SQL(" || ").join(
        sql.SQL("autosync.secret_reference({})").format(sql.Literal(one.reveal()))
        if isinstance(one, Secret)
        else sql.Literal(one)
        for one in text.pieces or ("",)
    )
    if job.name == name:
        scheduled = sql.SQL("select cron.schedule({}, {}, {})").format(
            sql.Literal(name), sql.Literal(job.schedule), command
        )
    elif job.name is not None:
        scheduled = sql.SQL("select from cron.schedule({}, {}, {})").format(
            sql.Literal(job.name), sql.Literal(job.schedule), command
        )
    else:
        scheduled = sql.SQL("select from cron.schedule({}, {})").format(sql.Literal(job.schedule), command)
    if job.active and text.is_whole:
        return scheduled
    # pg_cron activates what it is given
    inactive = sql.SQL(
        "; select cron.alter_job(c.jobid, active := false) from cron.job as c"
        " where c.jobname is not distinct from {} and c.username = current_user and c.command = {}"
    ).format(sql.Literal(job.name), command)
    return scheduled + inactive


def _pieces(text: str, secrets: Mapping[str, Secret]) -> Iterator[str | Secret]:
    """Yield the text with each literal that holds a secret in pieces: replace(literal, '***', <secret>)."""
    at = 0
    for literal in literals.of(text):
        if literal.is_block:
            yield text[at : literal.inner[0]]
            yield from _pieces(text[slice(*literal.inner)], secrets)
            at = literal.inner[1]
            continue
        held = {name for name, secret in secrets.items() if secret.reveal() in literal.value}
        parts = literal.parts or (literal,)
        if any(not any(secrets[name].reveal() in part.value for part in parts) for name in held):
            # one is made of several parts
            parts = (literal,)
        for part in parts:
            if not part.is_odd and any(secrets[name].reveal() in part.value for name in held):
                yield text[at : part.start]
                yield from _replaced(part, secrets)
                at = part.end
    yield text[at:]


def _replaced(literal: Literal, secrets: Mapping[str, Secret]) -> Iterator[str | Secret]:
    held = [(name, secret.reveal()) for name, secret in secrets.items() if secret.reveal() in literal.value]
    # the longest first: one may be within another
    held.sort(key=lambda one: -len(one[1]))
    value = literal.value
    for name, secret in held:
        value = value.replace(secret, f"{MASK}{name}{MASK}")
    held = [(name, secret) for name, secret in held if f"{MASK}{name}{MASK}" in value]
    yield ("cast(" if literal.is_json else "") + "replace(" * len(held) + literals.quoted(value)
    for name, _ in held:
        yield f", '{MASK}{name}{MASK}', "
        yield Secret(name)
        yield ")"
    if literal.is_json:
        yield " as jsonb)"


def _masked(text: str, secrets: Collection[str]) -> str:
    """Return a text with a mask in place of all literals that may be a part of a secret."""
    made, at = "", 0
    for literal in literals.of(text):
        if literal.is_block:
            start, end = literal.inner
            made, at = made + text[at:start] + _masked(text[start:end], secrets), end
            continue
        for part in literal.parts or (literal,):
            if any(_shares(part.value, secret) for secret in secrets):
                made, at = f"{made}{text[at : part.start]}'{MASK}'", part.end
    made += text[at:]
    for secret in secrets:
        made = made.replace(secret, MASK)
    return made


def _shares(literal: str, secret: str) -> bool:
    """Return whether a literal holds the secret, some of it, or is a part of it."""
    size = min(_TELLING, len(literal), len(secret))
    return size > 1 and any(literal[at : at + size] in secret for at in range(len(literal) - size + 1))


def _merged(pieces: Iterator[str | Secret]) -> Iterator[str | Secret]:
    text = ""
    for one in pieces:
        if isinstance(one, str):
            text += one
            continue
        if text:
            yield text
        yield one
        text = ""
    if text:
        yield text


def _statements(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the queries of a text that may be prepared, and whether each is one of a block, which has variables."""
    raw = text.encode()
    for parsed in blocks.parser().parse(text):
        [kind] = parsed["stmt"] or [""]
        if kind in {"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"}:
            start = parsed.get("stmt_location", 0)
            yield raw[start : start + parsed.get("stmt_len", len(raw))].decode(), False
        elif kind == "DoStmt" and (body := command_text.body_of(parsed["stmt"]["DoStmt"])) is not None:
            yield from ((query, True) for query in blocks.queries(body))


def _is_valid(text: str) -> bool:
    try:
        for statement in command_text.parse(text):
            if "DoStmt" in statement:
                list(blocks.statements(command_text.body_of(statement["DoStmt"]) or "", command_text.parse))
    except (Untranslatable, KeyError):
        return False
    return True
