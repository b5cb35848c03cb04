"""Debian's promtool, and what a real text of metrics becomes in its hands."""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosync_db.config import Settings
from autosync_db.scaffold import monitoring
from tests.support import tools

# longer than the longest `for` of a rule, and what must pass before a rule on ages fires
MINUTES = 150
_LINE = re.compile(r"(?P<series>autosync_(?P<name>\w+)\{.*\}) (?P<value>\S+)")
_MOMENT = re.compile(r"(_timestamp|checked_at)_seconds$")


@dataclass(frozen=True)
class State:
    """A text that verify printed, and which alerts fire while it goes on saying so; with `is_written_once` no more.

    `alert` is the whole of the only one: its `exp_labels` and `exp_annotations`.
    """

    name: str
    text: str
    fires: frozenset[str]
    is_written_once: bool = False
    alert: Mapping[str, Any] | None = None


def find() -> Path:
    """Return promtool; else skip the test, or fail it in CI."""
    return tools.find("promtool", install="install it: apt-get install --no-install-recommends prometheus")


def check_metrics(text: str) -> None:
    """Fail unless promtool has nothing to say of a text of metrics."""
    done = subprocess.run(
        [find(), "check", "metrics"], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, ""), done.stdout + done.stderr


def samples(text: str) -> dict[str, float]:
    """Return the value of each series of a text."""
    found = [_LINE.fullmatch(line) for line in text.splitlines() if not line.startswith("#")]
    assert all(found), "a line that is no sample"
    return {match["series"]: float(match["value"]) for match in found if match}


def value_of(text: str, name: str, **labels: str) -> float | None:
    """Return the value of the only series of this name that has these labels, None where there is none."""
    shown = [f"{key}={json.dumps(value)}" for key, value in labels.items()]
    found = [
        value
        for series, value in samples(text).items()
        if series.startswith(f"autosync_{name}{{") and all(label in series for label in shown)
    ]
    assert len(found) < 2, f"{name} {labels}"
    return found[0] if found else None


def input_series(state: State, rules: str) -> list[dict[str, str]]:
    """Return what rules read of a text that is read every minute, on a clock that begins at 0 when it was written.

    Moments move on with the clock, as each text that follows would have them.
    """
    values = samples(state.text)
    [written_at] = {v for series, v in values.items() if series.startswith("autosync_checked_at_seconds{")} or {0.0}
    found = []
    for series, value in values.items():
        name = series.partition("{")[0]
        if name not in rules:
            continue
        if not _MOMENT.search(name):
            shown = f"{value:g}x{MINUTES}"
        elif state.is_written_once:
            shown = f"{value - written_at:.3f}x{MINUTES}"
        else:
            shown = f"{value - written_at:.3f}+60x{MINUTES}"
        # a value alone is repeated by a step of 0
        found.append({"series": series, "values": shown if "+" in shown else shown.replace("x", "+0x")})
    return found


def check_rules(states: list[State], folder: Path, settings: Settings | None = None) -> None:
    """Fail unless the rules of the kit are good, and in each state exactly those fire that are to."""
    monitoring.write_kit(settings or Settings(), None, folder, force=True)
    rules = folder / monitoring.RULES
    _run(["check", "rules", str(rules)])
    test = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [_test(state, rules.read_text()) for state in states],
    }
    path = folder / "tests.json"  # which is YAML, too
    path.write_text(json.dumps(test))
    _run(["test", "rules", str(path)])


def _test(state: State, rules: str) -> dict[str, Any]:
    firing = 'group by (alertname) (ALERTS{alertstate="firing"})'
    expected = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(state.fires)]
    whole = [
        {"alertname": name, "eval_time": f"{MINUTES - 5}m", "exp_alerts": [state.alert]}
        for name in state.fires
        if state.alert
    ]
    return {
        "name": state.name,
        "alert_rule_test": whole,
        "interval": "1m",
        "input_series": input_series(state, rules),
        "promql_expr_test": [{"expr": firing, "eval_time": f"{MINUTES - 5}m", "exp_samples": expected}],
    }


def _run(arguments: list[str]) -> None:
    done = subprocess.run([find(), *arguments], capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
