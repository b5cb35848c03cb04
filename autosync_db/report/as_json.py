"""Results as JSON; the shapes are public API (docs/reference/schemas/)."""

import json
import re
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from autosync_db.health.model import CheckResult, Report
from autosync_db.supabase import key

SCHEMA_VERSION = 1
_C1 = re.compile(r"[\x7f-\x9f]")


def report(found: Report) -> dict[str, Any]:
    """Return a health report in the shape that `verify --format json` promises."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": found.status.value,
        "target": found.target,
        "checked_at": found.checked_at.isoformat(),
        "root_causes": list(dict.fromkeys(result.id for result in found.root_causes)),
        "checks": [_check(row) for row in found.rows],
    }


def dumps(value: Any, *, ascii: bool = False, mask: bool = True) -> str:
    """Return `value` as JSON text: dataclasses as objects, times in RFC 3339, durations in seconds.

    What has the form of a secret is masked, but for `mask`: names, statements and messages of a database may hold any.
    """
    text = json.dumps(value, default=_plain, indent=2, ensure_ascii=ascii)
    if mask and key.redact(text) != text:
        text = json.dumps(masked(json.loads(text)), indent=2, ensure_ascii=ascii)
    # JSON escapes the other control characters; names in facts are exact, and terminals obey these too
    return _C1.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def masked(value: Any) -> Any:
    """Return a value without what has the form of a secret: a text that others wrote may hold any."""
    match value:
        case str():
            return key.redact(value)
        case dict():
            return {name: masked(inner) for name, inner in value.items()}
        case list() | tuple():
            return [masked(inner) for inner in value]
    return value


def line(value: Any) -> str:
    """Return a value as JSON on one line, for a cell of a table."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _check(result: CheckResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "job": result.job,
        "layer": result.check.layer,
        "status": result.status.value,
        "claim": result.check.claim,
        "summary": result.verdict.summary,
        "evidence": [asdict(item) | {"facts": masked(item.facts)} for item in result.verdict.evidence],
        "remedy": None if result.status == "ok" else result.remedy,
        "remedy_kind": None if result.status == "ok" else result.remedy_kind,
        "repairable": result.check.repairable,
        "blocked_by": list(result.blocked_by),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
