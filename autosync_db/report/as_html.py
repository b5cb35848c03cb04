"""A report as one page of HTML that needs nothing else: styles, script, figures and charts are in it.

It is made of the figures alone (autosync_db.report.figures), which are in it as JSON. Whatever a database says is text:
every value is escaped, isolated from the direction of the text around it, and no control character is left. The page's
own policy forbids it every connection, and any script or style but its own two, which it knows by their hash.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from autosync_db import resources
from autosync_db.config import duration
from autosync_db.report import charts

Figures = Mapping[str, Any]
_FOLDER = "templates/report"
# also what turns the direction of the text behind it, and halves of characters
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_ORDER = ("critical", "unknown", "warning", "blocked", "ok")
_UNITS = ("B", "kB", "MB", "GB", "TB")
# of evidence, before it is folded away
_LINES = 3


def page(found: Figures, drawer: charts.Drawer) -> str:
    """Return the whole page. What cannot be drawn is in its tables, and the page says why."""
    timed = [
        (number, job) for number, job in enumerate(found["jobs"]) if any("p95_ms" in one for one in _week(job)["slots"])
    ]
    drawer.ask([[one for one in _week(job)["slots"] if "p95_ms" in one] for _, job in timed], 168)
    # what else there is to do comes before the wait for the drawings
    shown = _prepared(found)
    pictures = {
        number: Markup(charts.accessible(svg, f"chart-{number}", *_described(job)))  # noqa: S704 - text in it is escaped
        for (number, job), svg in zip(timed, drawer.drawn() or (), strict=False)
    }
    return template().render(**shown, pictures=pictures, no_pictures=drawer.reason if timed and not pictures else None)


def _prepared(found: Figures) -> dict[str, Any]:
    """Return what the template works with."""
    style, script = resources.read(f"{_FOLDER}/page.css"), resources.read(f"{_FOLDER}/page.js")
    return {
        "figures": found,
        "causes": _causes(found["verify"]),
        "layers": _layers(found["verify"]["checks"]),
        "jobs": sorted(enumerate(found["jobs"]), key=lambda item: _ORDER.index(item[1]["status"])),
        "policy": _policy(style, script),
        "style": Markup(style),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "json": Markup(embedded(found)),  # noqa: S704 - no character in it ends or begins anything in HTML
    }


def embedded(found: Figures) -> str:
    """Return the figures as JSON that no page takes for markup."""
    text = json.dumps(found, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}';"
        " base-uri 'none'; form-action 'none'"
    )


@cache
def template() -> jinja2.Template:
    """Return the page's template, compiled once."""
    return _environment().get_template("page.html.j2")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: resources.read(f"{_FOLDER}/{name}")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
        # every value is text of somebody's until it is known to be ours
        finalize=_safe,
    )  # fmt: skip
    environment.filters |= {
        "number": _number, "moment": _moment, "clock": _clock, "size": _size, "span": _span, "took": _took,
        "cells": _cells, "weekday": _weekday,
    }  # fmt: skip
    return environment


def _safe(value: Any) -> Any:
    """Return a value without what steers a terminal or the direction of text; markup of ours stays as it is."""
    return _STEERING.sub("\ufffd", value) if type(value) is str else value


def _week(job: Figures) -> Figures:
    week: Figures = job["strips"]["week"]
    return week


def _described(job: Figures) -> tuple[str, str]:
    """Return the title of a job's chart, and what is seen in it."""
    took = job["durations"]
    name = _safe(job["name"])
    return (
        f"Durations of {name} over 7 days, by hour",
        f"Seconds, as the function reported them for {took['calls']:,} calls: a median of {_took(took['median_ms'])},"
        f" 95 % of calls within {_took(took['p95_ms'])}, the longest {_took(took['longest_ms'])}."
        " The table of days has the figures.",
    )


def _causes(verify: Figures) -> list[dict[str, Any]]:
    """Return the root causes, the most severe first, with what one check says of several jobs put together."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    failing = [row for row in verify["checks"] if row["status"] in _ORDER[:3]]
    for row in sorted(failing, key=lambda row: (_ORDER.index(row["status"]), verify["root_causes"].index(row["id"]))):
        one = found.setdefault(
            (row["id"], row["status"]),
            {**row, "jobs": [], "lines": {}, "blocks": 0},
        )
        if row["job"]:
            one["jobs"].append(row["job"])
        for item in row["evidence"] or [{"object": None, "detail": row["summary"]}]:
            one["lines"][item["object"], item["detail"]] = None
    for row in verify["checks"]:
        for id in row["blocked_by"]:
            for (cause, _), one in found.items():
                one["blocks"] += cause == id
    return [{**one, "lines": list(one["lines"]), "shown": _LINES} for one in found.values()]


def _layers(checks: Sequence[Figures]) -> list[tuple[str, dict[str, int], list[Figures]]]:
    """Return the checks by layer, with how many have which status; what fails comes first."""
    found: dict[str, list[Figures]] = {}
    for row in checks:
        found.setdefault(row["layer"], []).append(row)
    return [
        (
            layer,
            {status: count for status in _ORDER if (count := sum(row["status"] == status for row in rows))},
            sorted(rows, key=lambda row: _ORDER.index(row["status"])),
        )
        for layer, rows in found.items()
    ]


def _cells(strip: Figures) -> Markup:
    """Return the slots of a strip as cells, whose class says what became of the calls of each."""
    kinds = {slot["slot"]: _kind(slot) for slot in strip["slots"]}
    cells = (f"<i class={kinds[n]}></i>" if n in kinds else "<i></i>" for n in range(strip["slots_count"]))
    return Markup("").join(map(Markup, cells))


def _kind(slot: Figures) -> str:
    good = slot.get("ok", 0) + slot.get("unproven", 0)
    if slot.get("failed"):
        return "part" if good else "bad"
    for name, kind in (("no_call", "none"), ("lost", "lost"), ("pending", "open"), ("unproven", "mute")):
        if slot.get(name):
            return kind
    return "ok"


def _number(value: float) -> str:
    return f"{value:,}"


def _read(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _moment(text: str | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """Return a moment in UTC; what is none, such as infinity, as it is."""
    if text is None:
        return ""
    found = _read(text)
    return text if found is None else found.strftime(form)


def _clock(text: str) -> str:
    return _moment(text, "%H:%M")


def _weekday(text: str) -> str:
    return _moment(text, "%a %d %b")


def _span(seconds: float) -> str:
    return duration.describe(timedelta(seconds=seconds))


def _took(milliseconds: float) -> str:
    return f"{milliseconds:,} ms" if milliseconds < 1000 else f"{milliseconds / 1000:,.1f} s"


def _size(count: int) -> str:
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:,.0f} {_UNITS[unit]}" if value >= 100 or unit == 0 else f"{value:,.1f} {_UNITS[unit]}"
