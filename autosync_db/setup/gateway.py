"""Where the database itself reaches a gateway that has another address there than here: found by calls of pg_net.

The calls carry no credential, since whoever answers is still unknown, and go to a function that cannot exist.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import psycopg

from autosync_db import resources
from autosync_db.connection import Connection, exists, rows, value
from autosync_db.credentials import store
from autosync_db.errors import UnreachableError
from autosync_db.jobs.answerers import answered_by
from autosync_db.schema import preflight
from autosync_db.supabase import address
from autosync_db.supabase.stack import Stack

# names of functions begin with a letter: nobody's code runs
_PATH = "/functions/v1/_"
_TIMEOUT_MILLISECONDS = 5000
# pg_net wakes at most once a second, and makes the calls of a batch side by side
_PATIENCE_SECONDS = 20
_POLL_SECONDS = 0.1
_POST = """
    select net.http_get(
        url := c.address || %s, params := '{}'::jsonb, headers := '{}'::jsonb, timeout_milliseconds := %s
    )
    from unnest(%s::text[]) with ordinality as c (address, place)
    order by c.place
"""
_READ = """
    select r.id, r.status_code, case when jsonb_typeof(r.headers) = 'object' then r.headers end, left(r.content, 4000),
        r.error_msg
    from net._http_response as r
    where r.id = any(%s)
"""


_FORGET = """
    with unsent as (delete from net.http_request_queue as q where q.id = any(%(ids)s))
    delete from net._http_response as r where r.id = any(%(ids)s)
"""


class Rank(IntEnum):
    """What an answer shows of who gave it."""

    NOTHING = 0
    GATEWAY = 1  # the platform's gateway, which has no functions or does not reach them
    FUNCTIONS = 2  # what serves the functions


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call to a candidate: `said` in a few words, for people."""

    address: str
    rank: Rank
    said: str


def find(connection: Connection, stack: Stack, say: Callable[[str], None]) -> str:
    """Return the address at which the database reaches the stack's gateway; the stored one if that still answers.

    Raises UnreachableError with what each candidate said where none answers as the platform does, and what
    preflight.check() raises. pg_net is created where it is missing, as the migration does it.
    """
    preflight.check(connection)
    if not exists(connection, "net._http_response"):
        connection.execute(resources.read("sql/extensions/pg_net.sql").encode())
    stored = store.known_project_url(connection)
    if stored and address.ref_of(stored):
        stored = None  # a hosted project's is that of whom this was copied from
    own = value(connection, "select host(inet_server_addr())")
    say("looking for the gateway from the database")
    answers = _ask(connection, [stored]) if stored else []
    if stored and answers[0].rank is not Rank.NOTHING:
        return stored
    answers += _ask(connection, [one for one in stack.candidates(own) if one != stored])
    best = max(answers, key=lambda answer: answer.rank)
    if best.rank is Rank.NOTHING:
        said = "; ".join(f"{answer.address}: {answer.said}" for answer in answers)
        raise UnreachableError(
            f"the database does not reach the gateway of supabase start: {said}",
            hint="see that it runs with supabase status, or pass --project-url with the address that the database's"
            " container reaches",
        )
    return best.address


def _ask(connection: Connection, candidates: Sequence[str]) -> list[Answer]:
    """Call all candidates at once, and return what came of each, in their order."""
    ids = [int(id) for (id,) in rows(connection, _POST, [_PATH, _TIMEOUT_MILLISECONDS, list(candidates)])]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        found = {id: answer for id, *answer in rows(connection, _READ, [ids])}
        if len(found) == len(ids) or time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    _forget(connection, ids)
    return [
        _judge(address, *found[id]) if id in found else Answer(address, Rank.NOTHING, "pg_net brought no answer")
        for id, address in zip(ids, candidates, strict=True)
    ]


def _forget(connection: Connection, ids: Sequence[int]) -> None:
    """Delete what the calls left in pg_net's tables, where a failed one would count against the project's own jobs."""
    with suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute(_FORGET, {"ids": list(ids)})


def _judge(address: str, status: int | None, headers: Mapping[str, Any] | None, body: str | None, error: str) -> Answer:
    if status is None:
        return Answer(address, Rank.NOTHING, error or "no answer")
    rank = judge(status, headers or {}, body or "")
    who = {Rank.NOTHING: "something else than the platform", Rank.GATEWAY: "a gateway", Rank.FUNCTIONS: "the platform"}
    return Answer(address, rank, f"{status} of {who[rank]}")


def judge(status: int, headers: Mapping[str, Any], body: str) -> Rank:
    """Return what the answer for a function that does not exist shows of who gave it."""
    known = {name.lower(): text if isinstance(text, str) else json.dumps(text) for name, text in headers.items()}
    by = answered_by(status, dict(known), body)
    is_kong = "x-kong-upstream-latency" in known or known.get("via", "").lower().startswith(("kong", "1.1 kong"))
    is_envoy = "x-envoy-upstream-service-time" in known
    if by in {"platform", "function"} or "supabase-edge-runtime" in known.get("x-served-by", ""):
        return Rank.FUNCTIONS
    # the CLI's own server of functions
    if status == 404 and re.fullmatch(r"Function not found\s*", body) and (is_kong or is_envoy):
        return Rank.FUNCTIONS
    return Rank.GATEWAY if by in {"kong", "envoy"} or is_kong or is_envoy else Rank.NOTHING
