"""The causal graph: which failing checks explain which."""

import builtins
from collections.abc import Mapping

from autosync_db.health.model import Check, Status, Verdict

# of each check: by job, and under None where it speaks of no job or could not look at all
Verdicts = Mapping[str, Mapping[str | None, Verdict]]
# what explains which verdict (by its identity) for which job, as far as that was asked
Known = dict[tuple[int, str | None], tuple[str, ...]]

# a copy of another project's database that calls nobody: what its silence brings along is no failure besides
COPY = "database_is_the_bound_one"
COPY_REASONS = frozenset({"inherited", "inherited_here", "came_back"})
_OF_COPY = frozenset({"cron", "job", "net", "function", "secrets", "schedules"})
# a secret that lies open does so in a copy, too
_OPEN_IN_COPY = frozenset({"no_secret_in_job_command", "no_secret_in_migration_history"})

# the checks that say who holds a lock
LOCKERS = ("tables_not_locked", "pg_cron_not_blocked")
# the check that says what of ours was dropped or renamed
OBJECTS = "objects_current"


def blocked_by(
    id: str, verdict: Verdict, job: str | None, verdicts: Verdicts, catalogue: Mapping[str, Check], known: Known
) -> tuple[str, ...]:
    """Return the failing checks that explain this verdict and are not explained themselves; empty for a root cause.

    What fails for a job is explained by what fails for that job or for none, never by what fails for another; what
    fails for none, by what fails for any. `known` is empty at first and for the same `verdicts` only: where much fails,
    the same is asked many times.
    """
    if verdict.status is Status.OK:
        return ()
    if is_of_copy(id, catalogue[id]) and _is_silent_copy(verdicts):
        return (COPY,)
    key = (builtins.id(verdict), job)
    if key not in known:
        known[key] = _blocked_by(id, verdict, job, verdicts, catalogue, known)
    return known[key]


def _blocked_by(
    id: str, verdict: Verdict, job: str | None, verdicts: Verdicts, catalogue: Mapping[str, Check], known: Known
) -> tuple[str, ...]:
    # what could not be looked at explains no failure that was seen
    explains = {Status.CRITICAL, Status.UNKNOWN} if verdict.status is Status.UNKNOWN else {Status.CRITICAL}
    failing = [
        cause
        for cause in explaining(id, catalogue, verdict.status, verdicts, job)
        if any(found.status in explains for found in _of(verdicts, cause, job))
    ]
    failing += [
        cause for cause in catalogue[id].overlaps if any(_covers(found, verdict) for found in _of(verdicts, cause, job))
    ]
    if id != OBJECTS and (verdict.lacking or _lacks_table(verdict)):
        failing += [OBJECTS for found in _of(verdicts, OBJECTS, job) if found.status is Status.CRITICAL]
    if verdict.locked_out:
        # whoever holds the locks is the whole explanation, unless they were let go meanwhile
        lockers = [cause for cause in LOCKERS if any(_fails(found) for found in _of(verdicts, cause, job))]
        failing = lockers or failing
    return tuple(
        cause
        for cause in dict.fromkeys(failing)
        if any(
            _fails(found) and not blocked_by(cause, found, job, verdicts, catalogue, known)
            for found in _of(verdicts, cause, job)
        )
    )


def is_of_copy(id: str, check: Check) -> bool:
    """Return whether a failure of a check is part of the silence of a copy, where this is one."""
    return check.layer in _OF_COPY and id != COPY and id not in _OPEN_IN_COPY


def _is_silent_copy(verdicts: Verdicts) -> bool:
    found = verdicts.get(COPY, {}).get(None)
    return bool(found and found.status is not Status.OK) and any(
        item.facts.get("reason") in COPY_REASONS for item in (found.evidence if found else ())
    )


def _of(verdicts: Verdicts, id: str, job: str | None) -> list[Verdict]:
    """Return a check's verdicts that matter to a job: on it and on none; to none, all."""
    return [
        verdict for of_job, verdict in verdicts.get(id, {}).items() if job is None or of_job is None or of_job == job
    ]


def _fails(verdict: Verdict) -> bool:
    return verdict.status is not Status.OK


def _lacks_table(verdict: Verdict) -> bool:
    """Return whether a check could not look because one of our tables is gone."""
    return verdict.status is Status.UNKNOWN and any(
        item.facts.get("reason") == "missing" and "table" in item.facts for item in verdict.evidence
    )


def _covers(wider: Verdict, verdict: Verdict) -> bool:
    """Return whether a verdict is as grave as another and names every object of it."""
    return (
        wider.status in {Status.WARNING, Status.CRITICAL}
        and wider.status.severity >= verdict.status.severity
        and {item.object for item in verdict.evidence} <= {item.object for item in wider.evidence}
    )


def explaining(
    id: str,
    catalogue: Mapping[str, Check],
    status: Status,
    verdicts: Verdicts | None = None,
    job: str | None = None,
) -> list[str]:
    """Return every check whose failure explains `status` of this one, nearest first.

    With `verdicts`, a chain ends at a check that is healthy for the job: what lies behind it has no effect here. What
    says the same as a check within the chain is among them then; without, all that overlap are.
    """
    found: list[str] = []
    pending = [id]
    while pending:
        name = pending.pop(0)
        check = catalogue[name]
        overlaps = check.overlaps if verdicts is None else _saying_the_same(name, id, check, verdicts, job)
        for cause in (*check.causes, *overlaps, *(check.needs if status is Status.UNKNOWN else ())):
            if cause not in found:
                found.append(cause)
                if verdicts is None or cause not in verdicts or any(map(_fails, _of(verdicts, cause, job))):
                    pending.append(cause)
    return found


def _saying_the_same(name: str, id: str, check: Check, verdicts: Verdicts, job: str | None) -> tuple[str, ...]:
    """Return what explains a check within the chain to `id` because it names the same objects."""
    mine = _of(verdicts, name, job) if name != id and check.overlaps else []
    return tuple(
        cause
        for cause in check.overlaps
        if any(_fails(one) and _covers(wider, one) for one in mine for wider in _of(verdicts, cause, job))
    )
