"""The page of the faults: rows that tests measured, and what follows from them.

What differs from run to run is left out of a row in one place, here: a page that is written again while nothing changed
is the same, byte for byte. Everything else on it follows from the rows and the catalogue, so a run of some tests checks
or writes their rows alone.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.health.faults.catalogue import LEFT_OUT, LETTERS, MODES, REPORTED, kind, order
from tests.health.faults.guide import HEALTHY

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "faults.md"

# the sections that tests measure, and the heads of their tables
MODE, PAIR, SCENARIO = "Modes", "Pairs", "Healthy scenarios"
_COLUMNS = {
    MODE: ("mode", "fault", "guide", "verify"),
    PAIR: ("faults", "root causes"),
    SCENARIO: ("scenario", "verdict", "says"),
}
Rows = dict[str, dict[str, str]]

_HEAD = """\
# Faults

What `autosync-db verify` says when something is broken, and what the setup guide's own verification queries show at the
same moment. Every line was measured: a healthy project, the fault, both looks. The function and the gateway before it
are an HTTP server of the tests, which answers with the status, code and body that the platform is known for; what else
is not the real thing stands in brackets behind the fault. The page is written by the tests:

```sh
pytest tests/health/faults --write-table docs/reference/faults.md
```

{environment} Every run of these tests on the same versions compares each row
with what it measured; a run of some tests compares or writes theirs. `--check-table docs/reference/faults.md` ends with
the difference of the whole page.

The letters A to N are those of a catalogue of 181 failure modes from the field. O and P are 32 situations of public
reports and of trials that it did not have: O is what an answer or a state is taken for, P what stands beside this
package; a small letter behind the number is another way to the same.

*Guide* is what the queries of the setup guide return: the stored secrets, the job, the state of its newest five runs,
the schedules; on the healthy project they say "{healthy}".
*Verify* is the root cause that it names, with its verdict and summary, and the other root causes there are. What
follows from a root cause is not repeated here: verify lists it as explained by it. Times, sizes, addresses and numbers
of processes, jobs and earlier calls, which differ from run to run, are left out.
"""
_INTRODUCTIONS = {
    PAIR: "Two faults at once that have nothing to do with each other; both must be root causes.",
    SCENARIO: "Nothing is wrong; a critical verdict would be a false alarm, but for a replica's of itself.",
}
# a faulty state that stands among the healthy ones
OF_ITSELF = "verify is connected to a read replica of a healthy project"


@dataclass(slots=True)
class Page:
    """The page: on which versions its rows were measured, and the rows by section and first cell."""

    environment: str = ""
    rows: Rows = field(default_factory=lambda: {section: {} for section in _COLUMNS})

    @classmethod
    def read(cls, path: Path = DOCUMENT) -> "Page":
        """Return what a written page holds."""
        page = cls()
        if not path.exists():
            return page
        text = path.read_text(encoding="utf-8")
        if found := re.search(r"^(Measured on .*?\.) Every run", text, flags=re.MULTILINE):
            page.environment = found[1]
        for part in text.split("\n## ")[1:]:
            section, _, body = part.partition("\n")
            if section in _COLUMNS:
                lines = [line for line in body.splitlines() if line.startswith("| ")][1:]
                page.rows[section] = {key_of(line): line for line in lines}
        return page

    def take(self, section: str, row: str, environment: str) -> None:
        """Take a row that was measured."""
        self.environment = environment
        self.rows[section][key_of(row)] = row

    def text(self) -> str:
        """Return the page as it is written."""
        known = {mode.id for mode in MODES}
        ordered = {
            MODE: sorted((id for id in self.rows[MODE] if id in known), key=order),
            PAIR: sorted(self.rows[PAIR]),
            SCENARIO: sorted(self.rows[SCENARIO]),
        }
        parts = [_HEAD.format(environment=self.environment, healthy=HEALTHY)]
        for section in (MODE, PAIR, SCENARIO):
            introduction = [_INTRODUCTIONS[section], ""] if section in _INTRODUCTIONS else []
            shown = [self.rows[section][key] for key in ordered[section]]
            parts += [f"## {section}", "", *introduction, *_header(*_COLUMNS[section]), *shown, ""]
            if section == MODE:
                parts += ["## Totals", "", *self._totals(), ""]
        left_out = [f"| {id} | {LEFT_OUT[id]} |" for id in sorted(LEFT_OUT, key=order)]
        parts += ["## Left out", "", *_header("mode", "reason"), *left_out, ""]
        return "\n".join(parts)

    def _totals(self) -> list[str]:
        sums = [self._sums(letters) for letters in (LETTERS, REPORTED)]
        pairs = [re.findall(r"`(\w+)`", row) for row in self.rows[PAIR].values()]
        healthy = [row for name, row in self.rows[SCENARIO].items() if name != OF_ITSELF]
        alarms = sum(" | critical | " in row for row in healthy)
        return [
            *_header("", "A to N", "O and P"),
            *(f"| {name} | {sums[0][name]} | {sums[1][name]} |" for name in sums[0]),
            "",
            f"Both faults of a pair are named in {sum(len(roots) > 1 for roots in pairs)} of {len(pairs)} pairs."
            f" There are {alarms} false alarms in {len(healthy)} healthy scenarios.",
        ]

    def _sums(self, letters: set[str]) -> dict[str, int]:
        """Return how many of these letters are what."""
        expected = {mode.id: mode.names for mode in MODES if kind(mode.id) in letters}
        rows = {id: self.rows[MODE][id] for id in expected if id in self.rows[MODE]}
        right = {id for id, row in rows.items() if f"`{expected[id]}`" in _cells(row)[3]}
        missed = {id for id, row in rows.items() if _cells(row)[3].startswith("ok ")}
        injected = {kind(id) for id in rows}
        wrong = {kind(id) for id in rows.keys() - right}
        repaired = {mode.id for mode in MODES if mode.repairable}
        return {
            "situations": len(letters),
            "left out, with the reason below": len(letters & LEFT_OUT.keys()),
            "injected": len(injected),
            "named right by verify, in whatever way they are made": len(injected - wrong),
            "named wrong": len(wrong - {kind(id) for id in missed}),
            "missed": len({kind(id) for id in missed}),
            "ways to make them": len(rows),
            "ways of which the guide's queries show a difference": sum(
                _cells(row)[2] != HEALTHY for row in rows.values()
            ),
            "ways repaired by `autosync-db repair`, healthy at the next tick": len(rows.keys() & repaired),
        }


def key_of(row: str) -> str:
    """Return a row's first cell."""
    return _cells(row)[0]


def _cells(row: str) -> list[str]:
    return row.removeprefix("| ").removesuffix(" |").split(" | ")


def _header(*columns: str) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


# what differs from run to run, from day to day, and with the speed of a machine
_VARIES = (
    (r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?( UTC)?|\b\d\d:\d\d(:\d\d)?( UTC)?\b", "…"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "…"),
    (r"\b(process|pid|job|port|request|tick|run) \d+", r"\1 …"),
    (r"(?<=\w):\d{4,5}\b|(?<=\", port )\d+", ":…"),
    (r"-?\d+(\.\d+)? (kB|MB|GB|bytes)\b", "…"),
    (r"-?\d+\.\d+ ms", "… ms"),
    (r"\b\d+(\.\d+)? s\b", "… s"),
    (r"\b\d+ %", "… %"),
    (r"\b(\d+ of the (last|newest)) \d+ (calls|runs)", r"\1 … \3"),
    (r"\b(the last \d+ of) \d+ runs", r"\1 … runs"),
    (r"\b\d+ of \d+ answers", "… answers"),
    (r"\bnext \d+ starts", "next … starts"),
    (r"up to \d+ are recorded", "up to … are recorded"),
    (r"\d+ (are taken|dead ones)", r"… \1"),
    (r"\b\d+( \* \* \* \*)", r"…\1"),
    # what the statistics know of a table, once they have looked
    (r"it has (about \d+|an unknown number of) rows", "it has … rows"),
    # the resolver's words are those of the machine
    (r"\[Errno -?\d+\].*", "…"),
)
_LONGEST = 240


def row(*cells: str) -> str:
    """Return a row of a table, without what differs from run to run."""
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return _stable(text).replace("|", "\\|").replace("<", "&lt;")


def shortened(text: str) -> str:
    """Return the beginning of a text, without what differs from run to run."""
    text = _stable(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _stable(text: str) -> str:
    for pattern, shown in _VARIES:
        text = re.sub(pattern, shown, text)
    return re.sub(r"\s+", " ", text).strip()
