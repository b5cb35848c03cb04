"""Results as JSON; the shapes are public API (docs/reference/schemas/)."""

import json
import re
from dataclasses import asdict, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from autosync_db.health.model import CheckResult, Report

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


def dumps(value: Any, *, ascii: bool = False) -> str:
    """Return `value` as JSON text: dataclasses as objects, times in RFC 3339, durations in seconds."""
    text = json.dumps(value, default=_plain, indent=2, ensure_ascii=ascii)
    # JSON escapes the other control characters; names in facts are exact, and terminals obey these too
    return _C1.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


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
        "evidence": [asdict(item) for item in result.verdict.evidence],
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
