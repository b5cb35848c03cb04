"""`verify --notify`: what verify found, said to whoever is to be notified, once for each state.

The address comes from the environment, as CI systems keep secrets there. What was said last is a row of
autosync.setting; where the database cannot be written to, a file of this user. Row and file are locked while a message
is on its way, so that of two runs at once one speaks.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

import psycopg

from autosync_db.connection import Connection, exists, setting
from autosync_db.errors import UsageError
from autosync_db.health import receivers
from autosync_db.health.model import CheckResult, Report, Status
from autosync_db.secret import Secret
from autosync_db.supabase import key, whole_file
from autosync_db.supabase.http_client import client_for

try:
    import fcntl
except ImportError:  # where files are locked in another way, or not at all
    fcntl = None  # type: ignore[assignment]

TRIES = 3
_PAUSE_SECONDS = 1.0
_TIMEOUT_SECONDS = 10.0
_LONGEST = 300
_MOST = 10
# what answers say in their own words stands in the evidence of these
_WORDS_OF_OTHERS = {"function", "net", "neighbours", "job", "cron"}

_NAME = "notified"
_FILE = "notified.json"
# the file is that of all targets, and half a minute is the longest that a message takes
_LOCK_SECONDS = 60.0
_POLL_SECONDS = 0.05
_ANOTHER = "another run is saying it"
# the transaction waits for the receiver; a server before 17 has no transaction_timeout
_LIMITS = """
    set local lock_timeout = '15s';
    set local idle_in_transaction_session_timeout = 0;
    select set_config(s.name, '0', true) from pg_settings as s where s.name = 'transaction_timeout'
"""


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of a message: `sent`, `unchanged` (there was nothing new to say) or `failed`, and why."""

    outcome: Literal["sent", "unchanged", "failed"]
    reason: str = ""


def tell(
    connection: Connection | None,
    report: Report,
    address: Secret,
    selection: Sequence[str],
    folder: Path,
    *,
    strict: bool,
) -> Notice:
    """Say what changed since the last message about the same checks, if anything did. Never raises for a receiver.

    `selection` are the options that chose the checks: runs of other checks have states of their own. Raises SecretError
    for an address that cannot be one.
    """
    is_slack = form_of(address) == "slack"
    identity = hashlib.sha256("\0".join([address.reveal(), report.target, *sorted(selection)]).encode()).hexdigest()[
        :32
    ]
    state = _state(report, strict=strict)
    said: list[Notice] = []

    def say(last: list[str]) -> Notice:
        # it is asked again where the database did not keep what was said
        if not said:
            event = "recovered" if not state else "changed" if last else "fault"
            is_known = last == state
            said.append(
                Notice("unchanged")
                if is_known
                else _send(address, _body(report, event, is_slack=is_slack, strict=strict))
            )
        return said[0]

    try:
        if connection is not None and exists(connection, "autosync.setting"):
            return _by_database(connection, identity, state, say, folder / _FILE)
    except psycopg.errors.LockNotAvailable:
        return Notice("unchanged", _ANOTHER)
    except psycopg.Error:
        pass  # the database is read-only or has gone meanwhile: the file remembers instead
    try:
        return _by_file(folder / _FILE, identity, state, say)
    except TimeoutError:
        return Notice("unchanged", _ANOTHER)


def form_of(address: Secret) -> Literal["slack", "webhook"]:
    """Return in which form an address is written to. Raises SecretError for one that cannot be one."""
    text = address.reveal()
    with suppress(ValueError):  # of no address at all, which is said below
        if receivers.takes_slack(urlsplit(text).hostname or "") or text.endswith("/slack"):
            receivers.form_of("slack", address)
            return "slack"
    receivers.form_of("webhook", address)
    return "webhook"


def _state(report: Report, *, strict: bool) -> list[str]:
    notified = {Status.CRITICAL, Status.UNKNOWN} | ({Status.WARNING} if strict else set())
    return sorted({f"{one.id}/{one.job or ''}" for one in report.root_causes if one.weight in notified})


def _by_database(
    connection: Connection, identity: str, state: list[str], say: Callable[[list[str]], Notice], path: Path
) -> Notice:
    # what was said while the database could not be written to is newer than what it knows
    meanwhile = _known(path)
    with connection.transaction():
        connection.execute(_LIMITS)
        notified = say((setting.locked(connection, _NAME) | meanwhile).get(identity, []))
        # what only the file knew is forgotten there
        if notified.outcome == "sent" or (notified.outcome == "unchanged" and identity in meanwhile):
            setting.merge(connection, _NAME, {identity: state})
    if notified.outcome != "failed" and identity in meanwhile:
        done = (identity, meanwhile[identity])
        with suppress(TimeoutError), _alone_with(path):
            _write(path, dict(one for one in _known(path).items() if one != done))
    return notified


def _by_file(path: Path, identity: str, state: list[str], say: Callable[[list[str]], Notice]) -> Notice:
    with _alone_with(path):
        known = _known(path)
        notified = say(known.get(identity, []))
        if notified.outcome == "sent" and not _write(path, {**known, identity: state}):
            return Notice("sent", f"it will be said again, as {path} cannot be written")
    return notified


@contextmanager
def _alone_with(path: Path) -> Iterator[None]:
    """Keep all other runs from the file during the block. Raises TimeoutError when one of them has it for too long.

    Where nothing can be locked, as in a folder that cannot be written to, nobody is kept from it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # the file itself is replaced when it is written
        lock = path.with_suffix(".lock").open("a")
    except OSError:
        yield
        return
    with lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _is_locked(lock):
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(_POLL_SECONDS)
        yield


def _is_locked(lock: IO[str]) -> bool:
    """Lock the file and return True, or return False while somebody else has it."""
    try:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # not every file system knows locks
    return True


def _known(path: Path) -> dict[str, list[str]]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(path: Path, known: dict[str, list[str]]) -> bool:
    try:
        whole_file.write(path, json.dumps(known), replace=True)
    except OSError:
        return False
    return True


def _body(report: Report, event: str, *, is_slack: bool, strict: bool) -> dict[str, Any]:
    state = set(_state(report, strict=strict))
    causes = [_cause(one) for one in report.root_causes if f"{one.id}/{one.job or ''}" in state][:_MOST]
    if not is_slack:
        return {
            "schema_version": 1,
            "event": event,
            "source": "verify",
            "target": report.target,
            "status": report.status.value,
            "at": report.checked_at.isoformat(),
            "root_causes": causes,
        }
    subject = f"*{report.subject}* on {report.target}"
    lines = [
        f":large_green_circle: {subject}: verify finds no more faults"
        if event == "recovered"
        else f":red_circle: {subject}: verify says {report.status.value}"
    ]
    for one in causes:
        lines.append(f"{one['check']}{' (' + one['job'] + ')' if one['job'] else ''}: violated: {one['claim']}")
        lines += [one["evidence"]] if one["evidence"] else []
        lines += [f"fix: `{one['fix']}`"] if one["fix"] else []
    text = "\n".join(lines)
    return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}


def _cause(one: CheckResult) -> dict[str, Any]:
    first = one.verdict.evidence[0] if one.verdict.evidence else None
    said = ""
    if first is not None:
        status = first.facts.get("status_code")
        said = f"{first.object}: " + (
            first.detail
            if one.check.layer not in _WORDS_OF_OTHERS
            else f"answered {status}"
            if status
            else str(first.facts.get("reason") or "")
        )
    return {
        "check": one.id,
        "job": one.job,
        "status": one.status.value,
        "claim": one.check.claim,
        "evidence": key.redact(said.rstrip(": "))[:_LONGEST],
        "fix": key.redact(one.remedy or "")[:_LONGEST],
    }


def _send(address: Secret, body: dict[str, Any]) -> Notice:
    import httpx

    reason = ""
    for number in range(TRIES):
        if number:
            time.sleep(_PAUSE_SECONDS * number)
        try:
            with client_for(address.reveal(), _TIMEOUT_SECONDS) as calling:
                answer = calling.post(address.reveal(), json=body)
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            # it may have it, and is not to get it twice
            return Notice("sent", "the receiver did not answer in time, and may have it")
        except UsageError as error:
            return Notice("failed", error.message)
        except httpx.HTTPError as error:
            reason = f"the receiver cannot be reached: {type(error).__name__}"
            continue
        if answer.is_success:
            return Notice("sent")
        reason = f"the receiver answered {answer.status_code}"
        if answer.status_code < 500 and answer.status_code != 429:
            break
    return Notice("failed", reason)
