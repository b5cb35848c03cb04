"""Findings as SARIF 2.1.0, which code scanning of GitHub and other services reads.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html. GitHub refuses a whole log for one result without a
file: what was found in a job or a function of a database has a logical location, and the file of settings beside it.
Callers pass no secret: what is handed in here is published.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from autosync_db import __version__

Level = Literal["error", "warning", "note"]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION = "2.1.0"
# the file of what is in no file, where the caller names none
SETTINGS = "autosync.toml"
# the folder that relative paths start from; where it is on this machine is nobody's business
_BASE = "SRCROOT"


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of finding: what it is in a few words, and what to do about it.

    `severity`, from 0.1 to 10, is what GitHub sorts security findings by; None for what is no matter of security.
    """

    id: str
    summary: str
    help: str
    level: Level = "error"
    severity: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found: in a line of a file, or in an object of a database, such as a cron job."""

    path: str | None = None
    line: int | None = None
    object: str | None = None
    object_kind: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One finding. `identity` tells it from others of its rule and place, and stays when lines move; no secret."""

    rule: str
    message: str
    place: Place = Place()
    level: Level | None = None
    identity: str = ""


def document(
    rules: Sequence[Rule],
    results: Iterable[Result],
    *,
    category: str,
    unread: Iterable[tuple[str, str]] = (),
    home: str = SETTINGS,
) -> dict[str, Any]:
    """Return findings as one run; `category` tells runs over the same files apart, `unread` is what nobody looked at.

    Every result names a rule of `rules`. Paths are put relative to the current folder; `home` is the file of results
    that are in none.
    """
    notes = [_notification(path, reason) for path, reason in unread]
    places = {rule.id: (index, rule) for index, rule in enumerate(rules)}
    seen: Counter[str] = Counter()
    found = [_result(result, *places[result.rule], seen, home) for result in results]
    driver = {"name": "autosync-db", "version": __version__, "rules": [_rule(rule) for rule in rules]}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"autosync-db/{category}/"},
        "invocations": [{"executionSuccessful": not notes, "toolExecutionNotifications": notes}],
        "originalUriBaseIds": {_BASE: {"description": {"text": "the folder in which autosync-db was run"}}},
        "columnKind": "unicodeCodePoints",
        "results": found,
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": rule.id,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": rule.level},
    }
    if rule.severity is not None:
        made["properties"] = {"tags": ["security"], "security-severity": rule.severity}
    return made


def _result(result: Result, index: int, rule: Rule, seen: Counter[str], home: str) -> dict[str, Any]:
    location = _location(result.place, home)
    parts = (result.rule, str(location["physicalLocation"]["artifactLocation"]), str(result.place.object))
    digest = hashlib.sha256("\0".join((*parts, result.identity)).encode()).hexdigest()[:16]
    seen[digest] += 1
    made: dict[str, Any] = {
        "ruleId": result.rule,
        "ruleIndex": index,
        "level": result.level or rule.level,
        "message": {"text": result.message},
        # by this name GitHub knows a finding again, though the lines above it have changed
        "partialFingerprints": {"primaryLocationLineHash": f"{digest}:{seen[digest]}"},
    }
    made["locations"] = [location]
    return made


def _location(place: Place, home: str) -> dict[str, Any]:
    line = 1 if place.path is None else place.line
    physical: dict[str, Any] = {"artifactLocation": _artifact(place.path or home)}
    if line is not None:
        physical["region"] = {"startLine": line}
    made: dict[str, Any] = {"physicalLocation": physical}
    if place.object is not None:
        kind = {} if place.object_kind is None else {"kind": place.object_kind}
        made["logicalLocations"] = [{"fullyQualifiedName": place.object, **kind}]
    return made


def _artifact(path: str) -> dict[str, str]:
    """Return the address of a file: relative to the current folder, or whole where it is not below that."""
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a link out of the folder
    try:
        shown = whole.relative_to(Path.cwd())
    except ValueError:
        return {"uri": f"file://{quote(os.fsencode(whole.as_posix()))}"}
    return {"uri": quote(os.fsencode(shown.as_posix())), "uriBaseId": _BASE}


def _notification(path: str, reason: str) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": f"cannot be read: {reason}"},
        "locations": [{"physicalLocation": {"artifactLocation": _artifact(path)}}],
    }
