"""`[jobs.*]` tables of autosync.toml for the cron jobs that are in a database already."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from autosync_db import cron
from autosync_db.config import GUIDE_JOB, HOUSEKEEPING_JOB, JobSettings
from autosync_db.config.jobs import check_name
from autosync_db.config.reading import fault_of
from autosync_db.config.secret_text import holds_secret, sql_holds_secret, strings
from autosync_db.connection import Connection, value
from autosync_db.jobs import found, twins
from autosync_db.jobs.found import FoundJob
from autosync_db.jobs.texts import command_text
from autosync_db.jobs.texts.command_text import Call
from autosync_db.jobs.texts.sources import PROJECT_URL, SERVICE_KINDS, Names, Take
from autosync_db.jobs.texts.sql_values import Origin
from autosync_db.jobs.texts.translation import Translation, translate, watched

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_PASSWORD = re.compile(r"://[^/@\s:]*:.*@|\bpassword\s*=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Imported:
    """A cron job with its table; `table` is None for what cannot be a job of the file, and `reason` says why."""

    name: str
    job: FoundJob
    kind: str
    table: dict[str, Any] | None
    takes: tuple[Take, ...]
    notes: tuple[str, ...]
    reason: str | None
    translation: Translation | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """The cron jobs of a database that are not ours, and what is to be said about the others."""

    jobs: tuple[Imported, ...]
    skipped: tuple[str, ...]  # ours
    hides_others: bool


def read(connection: Connection, project_url: str | None) -> Import:
    """Return what is there. Reads only; no value of a secret is in it that could be printed by accident."""
    command_text.require_parser()
    helpers = found.helpers_that_call(connection)
    facts = found.DatabaseFacts(connection, project_url)
    if project_url is None:
        facts.project_url = _project_of(connection, facts, helpers)
    role = str(value(connection, "select current_user"))
    database = str(value(connection, "select current_database()"))
    there = found.jobs(connection)
    # a name that is made up is none that a job has already
    names = Names(found.stored_fingerprints(connection), facts.fingerprint)
    used = {job.name for job in there if job.name is not None} | found.registered_names(connection)
    functions: twins.Functions | None = None
    imported, skipped = [], []
    for job in there:
        if job.name is not None and found.standing(connection, job.name) in {"ours", "adopted"}:
            skipped.append(job.name)
            continue
        one = _import(job, facts, helpers, names, used)
        if one.kind == "autosync":
            skipped.append(one.name)
            continue
        if job.role != role or job.database != database:
            what = f"the role {job.role}" if job.role != role else f"the database {job.database}"
            one = Imported(one.name, job, one.kind, None, (), (), f"it belongs to {what}: import it there")
        used.add(one.name)
        if one.kind == "helper" and one.table is not None:
            functions = functions or twins.functions_of(connection)
            one = replace(one, notes=tuple(_way_to_adopt(one, functions, facts, replace(names, given={}))))
        imported.append(one)
    return Import(tuple(imported), tuple(skipped), found.hides_others(connection))


def understand(connection: Connection, job: FoundJob, project_url: str | None) -> Imported:
    """Return the table of one cron job, as read() has it where no other job is there."""
    command_text.require_parser()
    facts = found.DatabaseFacts(connection, project_url)
    names = Names(found.stored_fingerprints(connection), facts.fingerprint)
    made = _import(job, facts, found.helpers_that_call(connection), names, set())
    if made.kind != "helper" or made.translation is None:
        # who has written a table for a job that does more than its call adopts it with the secrets of its text
        return replace(made, takes=made.translation.takes) if made.translation else made
    # what it is to call the settings say; where its secrets are, the function does
    call = twins.understand(job.command, twins.functions_of(connection)).call
    shown = translate(call, facts, names, made.name) if call else None
    if shown is None or shown.reason:
        return made
    project = replace(made.translation, takes=shown.takes, project=shown.project)
    return replace(made, takes=shown.takes, translation=project)


def _way_to_adopt(one: Imported, functions: twins.Functions, facts: found.DatabaseFacts, names: Names) -> Iterable[str]:
    """Yield the table that makes the call that the job's function makes, where that is understood."""
    call = twins.understand(one.job.command, functions).call
    made = translate(call, facts, names, one.name) if call else None
    if made is None or made.reason is not None:
        return
    made = _scheduled(one.job, one.name, made, call)
    if "watch" not in made.table:
        yield f"to take it over, write this in place of watch, then: autosync-db jobs adopt {one.name}"
        yield from ("  " + line for line in _lines(made.table))
        yield from (f"  {note}" for note in made.notes)
        yield "  what the function does besides this call is then not done"


def toml(jobs: Iterable[Imported]) -> str:
    """Return the tables as text, with a comment on what cannot be said in settings."""
    return "\n".join(_table(one) for one in jobs)


def missing_from(jobs: Iterable[Imported], present: Collection[str]) -> list[Imported]:
    """Return the jobs that have a table and whose name the file has not yet."""
    return [one for one in jobs if one.table is not None and one.name not in present]


def _project_of(connection: Connection, facts: found.DatabaseFacts, helpers: frozenset[str]) -> str | None:
    """Return the address whose functions most jobs call, None where no text says one.

    What gets the service key comes first, then the address that the vault has, then what gets any other.
    """
    called: Counter[str] = Counter()
    trusted: Counter[str] = Counter()
    for job in found.jobs(connection):
        made = _import(job, facts, helpers, Names(), set()).translation
        for part in made.project.parts if made and made.project else ():
            shown = facts.origin_of(part) if isinstance(part, Origin) else str(part)
            address = [shown.rstrip("/")] if shown else []
            called.update(address)
            if made and any(take.kind in SERVICE_KINDS for take in made.takes):
                trusted.update(address)
    if not trusted and called and (kept := facts.origin_of(Origin("vault", PROJECT_URL))):
        return kept.rstrip("/")
    found_most = (trusted or called).most_common(1)
    return found_most[0][0] if found_most else None


def _import(
    job: FoundJob, facts: found.DatabaseFacts, helpers: frozenset[str], names: Names, used: Collection[str]
) -> Imported:
    reading = command_text.read(job.command)
    name = _name(job, reading, used)
    if reading.kind == "autosync":
        return Imported(name, job, "autosync", None, (), (), None)
    helper = found.helper_of(reading, helpers)
    kind: str = reading.kind
    if helper is not None:
        kind, made = "helper", watched(f"it makes its calls through the function {helper}")
    elif reading.call is not None:
        made = translate(reading.call, facts, names, name)
        if reading.beside is not None and made.reason is None:
            lost = f"of its text only the call is made from then on: {reading.beside}"
            made = replace(made, table={"watch": True}, notes=(*made.notes, lost), reason=reading.beside)
    elif reading.kind == "sql":
        made = _plain(job.command)
    else:
        made = watched(reading.reason or "it is not understood")
    if name == HOUSEKEEPING_JOB:
        return Imported(
            name, job, kind, None, (), (), "it has the name of housekeeping, which no job of the file can have"
        )
    made = _scheduled(job, name, made, reading.call)
    if job.name is None or not NAME.fullmatch(job.name):
        # what is only watched is looked for by its name in pg_cron
        called = "has no name" if job.name is None else "has a name that no table of the file can have"
        if "watch" in made.table:
            return Imported(name, job, kind, None, (), (), f"it {called}, and {made.reason}")
        notes = (
            *made.notes,
            f"the cron job {called}; take it over with: autosync-db jobs adopt {name} --from {job.id}",
        )
    else:
        # what is said of a translation is said of nobody who is only watched
        notes = () if made.reason else made.notes
    takes = () if made.reason else made.takes
    return Imported(name, job, kind, made.table, takes, notes, made.reason, made)


def _scheduled(job: FoundJob, name: str, made: Translation, call: Call | None) -> Translation:
    """Return a translation with all else that its table says, or one that is only watched where no file can say it."""
    if "watch" in made.table:
        return made
    table = {"schedule": cron.as_read(job.schedule), **made.table}
    if fault := cron.misreading(table["schedule"], None):
        return watched(f"its schedule {fault.reason}")
    if name == GUIDE_JOB and "function" in table:
        table["drains"] = "auto_sync_schedules"
        if call is not None and call.timeout_milliseconds is None:
            del table["timeout"]  # as the migration takes it over
    if not job.active:
        table["enabled"] = False
    refusal = _refusal(name, table)
    return watched(f"no table can say it: {refusal}") if refusal else replace(made, table=table)


def _refusal(name: str, table: dict[str, Any]) -> str | None:
    """Return why a settings file would be invalid with this table, None where it would not."""
    try:
        check_name(name)
        JobSettings.model_validate(table)
    except ValidationError as error:
        place, message = fault_of(error)
        return ": ".join(filter(None, (".".join(place), message)))
    except ValueError as error:
        return str(error)
    for where, text in strings(table):
        if "\0" in text:
            return f"{where} holds a NUL character"
        if where != "sql" and holds_secret(text):
            return f"{where} holds a secret"
    return None


def _plain(text: str) -> Translation:
    if sql_holds_secret(text) or _PASSWORD.search(text):
        return watched("its text holds a secret")
    return Translation({"sql": text.strip()})


def _name(job: FoundJob, reading: command_text.Reading, used: Collection[str]) -> str:
    if job.name is not None and NAME.fullmatch(job.name):
        return job.name
    wanted = re.sub(r"[^A-Za-z0-9_-]+", "-", job.name or "").strip("-_")[:50]
    if not wanted and reading.call is not None:
        path = "".join(part for part in reading.call.url.parts if isinstance(part, str))
        wanted = re.sub(r"[^A-Za-z0-9_-]+", "-", path.partition("/functions/v1/")[2].partition("?")[0]).strip("-_")[:50]
    wanted = wanted or f"job-{job.id}"
    while wanted in used:
        wanted = f"{wanted}-{job.id}"
    return wanted


def _table(one: Imported) -> str:
    lines = [f"# {note}" for note in one.notes]
    if one.table is None:
        shown = one.job.name if one.job.name is not None else f"number {one.job.id}"
        return "\n".join([*lines, f"# the cron job {_one_line(shown)} is left out: {one.reason}"]) + "\n"
    if one.reason:
        lines.insert(0, f"# only watched: {one.reason}")
    return "\n".join([*lines, f"[jobs.{one.name}]", *_lines(one.table)]) + "\n"


def _lines(table: dict[str, Any]) -> list[str]:
    order = ("function", "url", "sql", "watch", "schedule")
    keys = sorted(table, key=lambda name: order.index(name) if name in order else len(order))
    return [f"{name} = {_value(table[name], name)}" for name in keys]


def _value(found_value: Any, name: str = "") -> str:
    match found_value:
        case bool():
            return "true" if found_value else "false"
        case str():
            return _text(found_value, is_long=name == "sql")
        case int() | float():
            return json.dumps(found_value)
        case list():
            return f"[{', '.join(_value(one) for one in found_value)}]"
        case dict():
            inner = ", ".join(f"{_key(key_name)} = {_value(one)}" for key_name, one in found_value.items())
            return f"{{ {inner} }}" if inner else "{}"
    raise TypeError(f"TOML has no {type(found_value).__name__}")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str, *, is_long: bool = False) -> str:
    printable = re.fullmatch(r"[^\x00-\x08\x0b-\x1f\x7f]*", text) is not None
    if is_long and ("\n" in text or '"' in text) and printable and "'''" not in text and not text.endswith("'"):
        return f"'''\n{text}'''" if "\n" in text else f"'''{text}'''"
    # TOML's basic strings escape as JSON does, and DEL besides
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
