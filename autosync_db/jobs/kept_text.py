"""The text of a cron job as it is kept: without its secrets, which it reads from the store when it is given back."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from psycopg import sql

from autosync_db.jobs import blocks, command_text
from autosync_db.jobs.found import FoundJob
from autosync_db.jobs.sql_values import Untranslatable
from autosync_db.secret import Secret
from autosync_db.supabase import judge, key

MASK = "***"
_LITERAL = re.compile(
    r"--[^\n]*|/\*.*?\*/|(?P<dollar>\$(?P<tag>(?:[A-Za-z_]\w*)?)\$(?P<body>.*?)\$(?P=tag)\$)"
    r"|(?P<quoted>[eE]?'(?:[^']|'')*')|\"(?:[^\"]|\"\")*\"",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class KeptText:
    """A text in pieces: what is kept as it was, and names of secrets to read in the place of a value.

    `is_whole`: given back, the text does what it did; else a secret in it could not be replaced and is masked.
    """

    pieces: tuple[str | Secret, ...]  # a Secret holds the name of one, to tell it from text
    lost: tuple[str, ...]
    is_whole: bool = True

    @property
    def shown(self) -> str:
        """The text with what it reads from the store in words."""
        return "".join(f"<the secret {one.reveal()}>" if isinstance(one, Secret) else one for one in self.pieces)


def kept(text: str, pasted: Mapping[str, Secret]) -> KeptText:
    """Return a text without secrets; `pasted` are those that it holds, by the names that they have in the store."""
    there = {name: secret for name, secret in pasted.items() if secret.reveal() in text}
    pieces = tuple(_merged(_pieces(text, there)))
    rest = "".join(one for one in pieces if isinstance(one, str))
    looks_clean = not key.LOOKS_SECRET.search(rest) and not judge.holds_secret(rest)
    is_clean = looks_clean and not any(one.reveal() in rest for one in there.values())
    if is_clean and (
        not there or _is_valid("".join("(select 'x')" if isinstance(one, Secret) else one for one in pieces))
    ):
        return KeptText(pieces, tuple(there))
    masked = text
    for secret in there.values():
        masked = masked.replace(secret.reveal(), MASK)
    return KeptText((key.redact(masked),), tuple(there), is_whole=False)


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
    for found in _LITERAL.finditer(text):
        literal = found["dollar"] or found["quoted"]
        if literal is None or not any(secret.reveal() in literal for secret in secrets.values()):
            continue
        yield text[at : found.start()]
        at = found.end()
        if found["dollar"] and re.search(r"\bdo\s*(language\s+\w+\s*)?$", text[: found.start()], re.IGNORECASE):
            quote = f"${found['tag']}$"
            yield quote
            yield from _pieces(found["body"], secrets)
            yield quote
            continue
        yield from _replaced(literal, secrets)
    yield text[at:]


def _replaced(literal: str, secrets: Mapping[str, Secret]) -> Iterator[str | Secret]:
    held = [(name, secret.reveal()) for name, secret in secrets.items() if secret.reveal() in literal]
    for name, value in held:
        literal = literal.replace(value, f"{MASK}{name}{MASK}")
    yield "replace(" * len(held) + literal
    for name, _ in held:
        yield f", '{MASK}{name}{MASK}', "
        yield Secret(name)
        yield ")"


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


def _is_valid(text: str) -> bool:
    try:
        for statement in command_text.parse(text):
            if "DoStmt" in statement:
                body = next(
                    one["DefElem"]["arg"]["String"]["sval"]
                    for one in statement["DoStmt"]["args"]
                    if one["DefElem"]["defname"] == "as"
                )
                list(blocks.statements(body, command_text.parse))
    except (Untranslatable, StopIteration, KeyError):
        return False
    return True
