"""What must hold whatever happens: the ledger and the table of schedules, against what the functions wrote down.

Each violation says what it is about, what both logs have of it, and which faults were around.
"""

import itertools
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from tests.chaos.faults import CRASHES, LASTING, RESENDING, Faults
from tests.chaos.functions import LEASE_SECONDS
from tests.chaos.journal import Entry, read
from tests.chaos.operators import Operators
from tests.chaos.world import World

Call = tuple[str, int]  # Idempotency-Key and attempt
# what the ledger may say of a call that was answered so, once
OUTCOMES = {
    "good": {"ok", "accepted"},
    "500": {"http_error"},
    "503": {"http_error"},
    "404": {"http_error"},
    "429": {"http_error"},
    "401": {"http_error"},
    "hang_up": {"network_error"},
    "reset": {"network_error"},
    "truncated": {"network_error"},
    "slow": {"timed_out"},
    "error_body": {"failed"},
}
# a tick, a batch that a slow answer holds up, and the two seconds that a lock may be waited for
LATE_SECONDS = 20
_LEDGER = """
select i.id, j.name as job, cast(i.idempotency_key as text) as key, i.attempt, i.outcome, i.status_code,
    i.error_message, i.body_excerpt, i.sb_request_id, i.request_id, i.tick_id,
    date_part('epoch', i.queued_at) as queued, date_part('epoch', i.settled_at) as settled
from autosync.invocation as i
left join autosync.job as j on j.id = i.job_id
order by i.id
"""
_SCHEDULES = """
select cast(s.id as text) as id, s.enabled, s.frequency_minutes, s.time_window_enabled as windowed,
    s.time_window_start as opens, s.time_window_end as closes, s.timezone, date_part('epoch', s.next_run_at) as due,
    date_part('epoch', s.claim_expires_at) as claimed, s.last_run_status as status
from public.auto_sync_schedules as s
"""
_ALERTS = """
select j.name as job, s.state, s.cause, s.said_state, s.said_cause, s.changes
from autosync.alert_state as s
join autosync.job as j on j.id = s.job_id
"""


@dataclass
class Findings:
    """All logs, side by side, and what does not agree."""

    world: World
    faults: Faults
    operators: Operators
    first_ids: set[str]
    messages: list[Entry]
    violations: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read both logs."""
        with self.world.session() as owner:
            self.ledger = self._rows(owner, _LEDGER)
            self.schedules = {row["id"]: row for row in self._rows(owner, _SCHEDULES)}
            self.alerts = self._rows(owner, _ALERTS)
            self.ended_at = float(owner.execute("select date_part('epoch', clock_timestamp())").fetchone()[0])
        self.entries = list(read(self.world.folder / "functions.jsonl"))
        self.received: dict[Call, list[Entry]] = defaultdict(list)
        self.answered: dict[Call, list[Entry]] = defaultdict(list)
        self.reported: dict[str, list[Entry]] = defaultdict(list)
        self.runs: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            match entry["event"]:
                case "received":
                    self.received[entry["key"], entry["attempt"]].append(entry)
                case "answers":
                    self.answered[entry["key"], entry["attempt"]].append(entry)
                case "reports" | "reported" | "report failed":
                    self.reported[entry["key"]].append(entry)
                case "claimed" | "completed" | "refused" | "given up":
                    self.runs[entry["schedule"]].append(entry)

    @staticmethod
    def _rows(session: Any, query: str) -> list[Entry]:
        cursor = session.execute(query.encode())
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def all(self) -> list[str]:
        """Check everything; return the violations, each once."""
        self.violations = []
        for check in (
            self._every_received_call_is_in_the_ledger,
            self._the_ledger_says_what_happened,
            self._calls_are_sent_twice_only_after_a_kill,
            self._no_call_carries_a_key_that_was_replaced,
            self._no_schedule_is_lost,
            self._no_schedule_is_held_twice,
            self._no_schedule_is_late,
            self._no_schedule_runs_outside_its_window,
            self._faults_are_named_and_forgotten,
            self._alerts_are_said_once,
            self._commands_end_well,
        ):
            check()
        return self.violations

    def _violated(self, what: str, *history: Any, near: float | None = None) -> None:
        lines = [what, *(f"    {json.dumps(one, default=str)}" for one in history)]
        if near is not None:
            around = [fault for fault in self.faults.happened if fault.begun - 10 < near < fault.ended + 30]
            lines += [f"    fault: {fault}" for fault in around]
        self.violations.append("\n".join(lines))

    def _hit(self, kinds: tuple[str, ...], begun: float, ended: float) -> bool:
        """Return whether such a fault was between two moments of this machine's clock."""
        return any(f.kind in kinds and f.begun <= ended and f.ended >= begun for f in self.faults.happened)

    def _real(self, server_time: float) -> float:
        return server_time - self.world.shift

    # calls

    def _every_received_call_is_in_the_ledger(self) -> None:
        known = {(row["key"], row["attempt"]) for row in self.ledger}
        for call, entries in self.received.items():
            if call not in known:
                self._violated(f"call {call} was received and is not in the ledger", *entries, near=entries[0]["at"])
        self.figures["calls received"] = sum(map(len, self.received.values()))
        self.figures["calls in the ledger"] = len(self.ledger)
        self.figures["outcomes"] = dict(Counter(row["outcome"] for row in self.ledger))

    def _the_ledger_says_what_happened(self) -> None:
        unsent = 0
        for row in self.ledger:
            call = (row["key"], row["attempt"])
            received, answers, outcome = self.received.get(call, []), self.answered.get(call, []), row["outcome"]
            queued, settled = self._real(row["queued"]), self._real(row["settled"] or self.ended_at)
            unsent += not received
            allowed = self._allowed(row, answers)
            if outcome == "lost" and self._hit(CRASHES, queued, settled):
                continue
            if outcome == "lost":
                self._violated(f"call {call} is lost without a crash", row, *received, *answers, near=queued)
            elif outcome not in allowed:
                self._violated(
                    f"call {call} is {outcome}, not one of {sorted(allowed)}", row, *received, *answers,
                    *self.reported.get(row["key"], ()), near=queued,
                )  # fmt: skip
            if row["sb_request_id"] and row["sb_request_id"] != row["key"]:
                self._violated(f"call {call} has the answer to another one", row, *answers, near=queued)
            excerpt = row["body_excerpt"] or ""
            if '"call"' in excerpt and row["key"] not in excerpt:
                self._violated(f"call {call} has the body of another one", row, *answers, near=queued)
        self.figures["never received"] = unsent
        self.figures["lost"] = sum(row["outcome"] == "lost" for row in self.ledger)

    def _allowed(self, row: Entry, answers: list[Entry]) -> set[str]:
        """Return which outcomes the functions' log admits."""
        queued, settled = self._real(row["queued"]), self._real(row["settled"] or self.ended_at)
        allowed = set().union(*(OUTCOMES[entry["way"]] for entry in answers))
        reports = [entry for entry in self.reported.get(row["key"], []) if entry["event"] == "reports"]
        if row["job"] == "reporting":
            # accepted is no end
            allowed.discard("accepted")
            said = [entry for entry in self.reported.get(row["key"], []) if entry["event"] == "reported"]
            if said:
                return {"ok"}
            if answers and not reports:
                allowed -= {"ok"} if any(entry["way"] == "good" for entry in answers) else set()
            allowed |= {"timed_out"} if any(entry["way"] == "good" for entry in answers) else set()
        else:
            allowed.discard("accepted")
        received = self.received.get((row["key"], row["attempt"]), [])
        if not received or len(received) > len(answers) or len(answers) > 1 or self._slow_to_answer(queued, answers):
            # what was not answered in the end, or not in time, ends like this
            allowed |= {"network_error", "timed_out"}
        if self._hit(("functions dead",), queued - 3, settled + 1):
            allowed |= {"network_error", "timed_out"}
        return allowed

    @staticmethod
    def _slow_to_answer(queued: float, answers: list[Entry]) -> bool:
        # on a busy machine also what was answered at once may be sent, or read, when its time is over
        return bool(answers) and answers[-1]["at"] - queued > 0.9

    def _calls_are_sent_twice_only_after_a_kill(self) -> None:
        doubled = {call: entries for call, entries in self.received.items() if len(entries) > 1}
        self.figures["received twice"] = len(doubled)
        plain = 0
        for call, entries in doubled.items():
            if not self._hit(RESENDING, entries[0]["at"] - 5, entries[-1]["at"] + 1):
                plain += 1
                ways = [entry["way"] for entry in self.answered.get(call, [])]
                # libcurl sends again what was on a kept connection that ends without a byte
                if not set(ways) & {"hang_up", "reset"} and not self._hit(
                    ("functions dead",), entries[0]["at"] - 5, entries[-1]["at"] + 1
                ):
                    self._violated(f"call {call} was sent twice", *entries, *self.answered[call], near=entries[0]["at"])
        self.figures["received twice without a kill"] = plain

    def _no_call_carries_a_key_that_was_replaced(self) -> None:
        for call, entries in self.answered.items():
            for entry in entries:
                if entry["way"] == "401" and not self._hit(("key refused",), entry["at"] - 1, entry["at"] + 1):
                    self._violated(f"call {call} was refused", *self.received[call], entry, near=entry["at"])

    # schedules

    def _no_schedule_is_lost(self) -> None:
        expected = self.first_ids | self.operators.added
        gone = {_plain(id) for id in self.operators.removed}
        unknown = {_plain(id) for id in self.operators.unknown}
        present = {_plain(id) for id in self.schedules}
        for id in {_plain(id) for id in expected} - gone - present - unknown:
            self._violated(f"schedule {id} is lost", *self.runs.get(id, ()))
        for id in gone & present - unknown:
            self._violated(f"schedule {id} was deleted and is back")
        self.figures["schedules"] = len(present)
        self.figures["schedules added, deleted"] = (len(self.operators.added), len(gone))

    def _no_schedule_is_held_twice(self) -> None:
        claims = runs = 0
        for id, entries in self.runs.items():
            ends = {entry["claim"]: entry["ran"] for entry in entries if entry["event"] == "completed"}
            runs += len(ends)
            held = sorted((entry for entry in entries if entry["event"] == "claimed"), key=lambda entry: entry["begun"])
            claims += len(held)
            for earlier, later in itertools.pairwise(held):
                until = min(earlier["ends"], ends.get(earlier["claim"], earlier["ends"]))
                if later["begun"] < until:
                    self._violated(f"schedule {id} was held twice at once", *entries, near=self._real(later["begun"]))
        self.figures["claims"], self.figures["runs of schedules"] = claims, runs

    def _outage(self, begun: float, ended: float) -> float:
        """Return how many seconds between two moments of the server's clock belong to a fault or to its aftermath."""
        spans = sorted(
            (max(begun, fault.begun + self.world.shift - 1), min(ended, fault.ended + self.world.shift + 10))
            for fault in self.faults.happened
        )
        total, reached = 0.0, begun
        for first, last in spans:
            total += max(0.0, last - max(first, reached))
            reached = max(reached, last)
        return total

    def _no_schedule_is_late(self) -> None:
        worst = worst_net = 0.0
        plain = {_plain(id) for id in self.first_ids}
        for id, entries in self.runs.items():
            row = self.schedules.get(id)
            if row is None or row["windowed"] or _plain(id) not in plain:
                continue
            ran: Entry | None = None
            abandoned = 0
            for entry in entries:
                if entry["event"] == "completed":
                    ran, abandoned = entry, 0
                elif entry["event"] == "claimed":
                    # of a claim that its function never saw the end of, nobody here knows whether it was completed
                    if ran is not None and ran["status"] == "success" and not abandoned:
                        due = ran["ran"] + 60 * row["frequency_minutes"]
                        if abs(due - entry["due"]) > 0.01:
                            self._violated(f"schedule {id} was due at {entry['due']}, not {due}", ran, entry)
                    else:
                        due = entry["due"]
                    late = entry["begun"] - due
                    # what is claimed and not completed comes back when the lease ends, twice as late each time
                    net = late - self._outage(due, entry["begun"]) - LEASE_SECONDS * (2**abandoned - 1)
                    worst, worst_net = max(worst, late), max(worst_net, net)
                    if net > LATE_SECONDS:
                        self._violated(
                            f"schedule {id} ran {late:.1f} s late, {net:.1f} s without a reason", *entries,
                            near=self._real(entry["begun"]),
                        )  # fmt: skip
                    abandoned += 1
        for id, row in self.schedules.items():
            claimed = row["claimed"] is not None and row["claimed"] > self.ended_at
            if row["enabled"] and not row["windowed"] and not claimed:
                if row["due"] is None:
                    self._violated(f"schedule {id} is enabled and will never run", row, *self.runs.get(id, ()))
                    continue
                bearable = LATE_SECONDS + 7 * LEASE_SECONDS + self._outage(row["due"], self.ended_at)
                if self.ended_at - row["due"] > bearable:
                    self._violated(f"schedule {id} waits since {row['due']}", row, *self.runs.get(id, ()))
        self.figures["worst lateness, s"] = round(worst, 1)
        self.figures["worst lateness without outages and lost claims, s"] = round(worst_net, 1)

    def _no_schedule_runs_outside_its_window(self) -> None:
        windowed = 0
        for id, entries in self.runs.items():
            row = self.schedules.get(id)
            if row is None or not row["windowed"]:
                continue
            for entry in entries:
                if entry["event"] == "claimed":
                    windowed += 1
                    local = datetime.fromtimestamp(entry["begun"], UTC).astimezone(ZoneInfo(row["timezone"])).time()
                    if not _within(local, row["opens"], row["closes"]):
                        self._violated(f"schedule {id} ran at {local} of its place", row, entry)
        self.figures["claims within windows"] = windowed

    # what is said of it

    def _faults_are_named_and_forgotten(self) -> None:
        if self.faults.never_healthy:
            self._violated(self.faults.never_healthy)
        for fault in self.faults.happened:
            if fault.trouble:
                self._violated(f"the fault could not be made or healed: {fault}")
            elif fault.kind == "server down" and fault.named != "exit 4":
                self._violated(f"verify of a server that is down: {fault.named}", near=fault.begun)
            elif LASTING.get(fault.kind, ((),))[0] and not fault.named:
                self._violated(f"verify did not name: {fault}", near=fault.begun)
            elif LASTING.get(fault.kind, ((),))[0] and fault.healthy_after is None:
                self._violated(f"verify did not forget: {fault}", near=fault.begun)
        healed = [fault.healthy_after for fault in self.faults.happened if fault.healthy_after is not None]
        self.figures["worst time until a fault was forgotten, s"] = round(max(healed, default=0), 1)
        by_kind = {fault.kind: 0.0 for fault in self.faults.happened if fault.healthy_after is not None}
        for fault in self.faults.happened:
            if fault.healthy_after is not None:
                by_kind[fault.kind] = round(max(by_kind[fault.kind], fault.healthy_after), 1)
        self.figures["by kind"] = by_kind
        self.figures["faults"] = dict(Counter(fault.kind for fault in self.faults.happened))

    def _alerts_are_said_once(self) -> None:
        keys: dict[str, list[Entry]] = defaultdict(list)
        by_job: dict[str, list[Entry]] = defaultdict(list)
        for message in self.messages:
            if message["key"] not in keys:
                by_job[message["job"]].append(message)
            keys[message["key"]].append(message)
        for same in keys.values():
            if len(same) > 1 and not self._hit(RESENDING, same[0]["at"] - 15, same[-1]["at"]):
                self._violated("a message was sent twice", *same, near=same[0]["at"])
        for job, said in by_job.items():
            for before, after in zip([{"state": "ok", "cause": ""}, *said], said, strict=False):
                is_same = (before["state"], before["cause"]) == (after["state"], after["cause"])
                if is_same and after["event"] != "summary":
                    self._violated(f"job {job} was reported twice to be {after['state']}", *said, near=after["at"])
        for row in self.alerts:
            said = by_job.get(row["job"], [])
            last = (said[-1]["state"], said[-1]["cause"]) if said else ("ok", "")
            if last != (row["said_state"], row["said_cause"]):
                self._violated(f"job {row['job']} was last reported as {last}", row, *said)
        self.figures["alerts"] = dict(Counter(same[0]["event"] for same in keys.values()))
        self.figures["alerts sent twice"] = sum(len(same) > 1 for same in keys.values())

    def _commands_end_well(self) -> None:
        for complaint in self.operators.wrong:
            self._violated(complaint)
        self.figures["commands"] = dict(Counter(f"{name} {code}" for name, code, _ in self.operators.results))
        self.figures["ticks"] = sum(self.world.ticks.values())
        self.figures["ticks that failed"] = sum(self.world.failed_ticks.values())


def _plain(id: str) -> str:
    return id.replace("-", "")


def _within(local: time, opens: time, closes: time) -> bool:
    return opens <= local < closes if opens < closes else local >= opens or local < closes
