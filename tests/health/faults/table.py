"""The page that a run of this suite writes: what was broken, what the setup guide's queries show, what verify says."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.health.faults.catalogue import LEFT_OUT, MODES, order
from tests.health.faults.guide import HEALTHY

# the properties of a test, which travel from the workers of xdist
MODE = "fault mode"
PAIR = "fault pair"
FALSE_ALARM = "healthy scenario"

Record = Callable[[str, object], None]

_HEAD = """\
# Faults

What `autosync-db verify` says when something is broken, and what the setup guide's own verification queries show at the
same moment. Every line was measured: a healthy project, the fault, both looks. The function and the gateway before it
are an HTTP server of the tests, which answers with the status, code and body that the platform is known for; what else
is not the real thing stands in brackets behind the fault. The page is written by the tests:

```sh
pytest tests/health/faults --write-table docs/reference/faults.md
```

{environment} The letters are those of a catalogue of 181 failure modes from the field. *Guide* is
what the queries of the setup guide return: the stored secrets, the job, the state of its newest five runs, the
schedules; on the healthy project they say "{healthy}".
*Verify* is the root cause that it names, with its verdict and summary, and the other root causes there are. What
follows from a root cause is not repeated here: verify lists it as explained by it. Times, sizes, addresses and numbers
of processes and jobs, which differ from run to run, are left out.
"""


@dataclass(slots=True)
class Table:
    """What the tests of a run reported."""

    modes: dict[str, dict[str, Any]] = field(default_factory=dict)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    scenarios: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, value: Any) -> None:
        """Take one report."""
        if name == MODE:
            self.modes[value["id"]] = value
        elif name == PAIR:
            self.pairs.append(value)
        else:
            self.scenarios.append(value)

    def page(self) -> str:
        """Return the page."""
        found = list(self.modes.values())
        environment = next((mode["environment"] for mode in found if mode["environment"]), "")
        return "\n".join(
            [
                _HEAD.format(environment=environment, healthy=HEALTHY),
                "## Modes\n",
                "| mode | fault | guide | verify |",
                "|---|---|---|---|",
                *(self._row(self.modes[mode.id]) for mode in MODES if mode.id in self.modes),
                "",
                "## Totals\n",
                *self._totals(),
                "",
                "## Pairs\n",
                "Two faults at once that have nothing to do with each other; both must be root causes.\n",
                "| faults | root causes |",
                "|---|---|",
                *(f"| {pair['ids']} | {_ids(pair['roots'])} |" for pair in sorted(self.pairs, key=lambda p: p["ids"])),
                "",
                "## Healthy scenarios\n",
                "Nothing is wrong; a critical verdict would be a false alarm, but for a replica's of itself.\n",
                "| scenario | verdict | says |",
                "|---|---|---|",
                *(
                    f"| {scenario['name']} | {scenario['status']} | {_cell(scenario['says'])} |"
                    for scenario in sorted(self.scenarios, key=lambda s: s["name"])
                ),
                "",
                "## Left out\n",
                "| mode | reason |",
                "|---|---|",
                *(f"| {id} | {LEFT_OUT[id]} |" for id in sorted(LEFT_OUT, key=order)),
                "",
            ]
        )

    @staticmethod
    def _row(found: dict[str, Any]) -> str:
        fault = found["fault"] + (f" ({found['simulated']})" if found["simulated"] else "")
        named = f"{found['status']} `{found['named']}`: {found['summary']}"
        also = f"; also {_ids(found['also'])}" if found["also"] else ""
        return f"| {found['id']} | {fault} | {_cell(found['guide'])} | {_cell(named)}{also} |"

    def _totals(self) -> list[str]:
        modes = list(self.modes.values())
        right = sum(mode["expected"] in mode["roots"] for mode in modes)
        missed = sum(not mode["roots"] for mode in modes)
        shown = sum(mode["guide"] != HEALTHY for mode in modes)
        both = sum(set(pair["expected"]) <= set(pair["roots"]) for pair in self.pairs)
        healthy = [scenario for scenario in self.scenarios if not scenario["is_fault"]]
        alarms = sum(scenario["status"] == "critical" for scenario in healthy)
        repaired = sum(mode["repaired"] for mode in modes)
        return [
            "| | |",
            "|---|---|",
            f"| modes injected | {len(modes)} of 181 |",
            f"| named right | {right} |",
            f"| named wrong | {len(modes) - right - missed} |",
            f"| missed | {missed} |",
            f"| the guide's queries show a difference | {shown} |",
            f"| repaired by `autosync-db repair`, healthy at the next tick | {repaired} |",
            f"| pairs of faults, both named | {both} of {len(self.pairs)} |",
            f"| false alarms | {alarms} in {len(healthy)} healthy scenarios |",
        ]


def _ids(ids: list[str]) -> str:
    return ", ".join(f"`{id}`" for id in ids)


# what differs from run to run
_VARIES = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?|\d{4}-\d\d-\d\d", "…"),
    (r"\b(process|pid|job|port|request|tick|run) \d+", r"\1 …"),
    (r"\d+(\.\d+)? (kB|MB|GB|bytes)\b", "…"),
    (r"(127\.0\.0\.1|localhost)([: ]|:? ?port )?\d{4,5}", r"\1:…"),
    (r"\d+\.\d+ ms", "… ms"),
    (r"up to \d+ are recorded", "up to … are recorded"),
    (r"\d+ (are taken|dead ones)", r"… \1"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "…"),
)


def _cell(text: str) -> str:
    for pattern, shown in _VARIES:
        text = re.sub(pattern, shown, text)
    return _shortened(re.sub(r"\s+", " ", text)).replace("|", "\\|").replace("<", "&lt;")


def _shortened(text: str) -> str:
    return text if len(text) <= 240 else text[:237] + "..."
