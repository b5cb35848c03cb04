"""The causal graph: which failing checks explain which."""

from collections.abc import Mapping

from autosync_db.health.model import Check, Status, Verdict

# the checks that say who holds a lock
LOCKERS = ("tables_not_locked", "pg_cron_not_blocked")


def blocked_by(id: str, verdicts: Mapping[str, Verdict], catalogue: Mapping[str, Check]) -> tuple[str, ...]:
    """Return the failing checks that explain this one and are not explained themselves; empty for a root cause."""
    status = verdicts[id].status
    if status is Status.OK:
        return ()
    # what could not be looked at explains no failure that was seen
    explains = {Status.CRITICAL, Status.UNKNOWN} if status is Status.UNKNOWN else {Status.CRITICAL}
    failing = [
        cause
        for cause in explaining(id, catalogue, status, verdicts)
        if cause in verdicts and verdicts[cause].status in explains
    ]
    failing += [
        cause for cause in catalogue[id].overlaps if cause in verdicts and _covers(verdicts[cause], verdicts[id])
    ]
    if verdicts[id].locked_out:
        # whoever holds the locks is the whole explanation, unless they were let go meanwhile
        lockers = [cause for cause in LOCKERS if cause in verdicts and verdicts[cause].status is not Status.OK]
        failing = lockers or failing
    return tuple(cause for cause in dict.fromkeys(failing) if not blocked_by(cause, verdicts, catalogue))


def _covers(wider: Verdict, verdict: Verdict) -> bool:
    """Return whether a verdict is as grave as another and names every object of it."""
    return (
        wider.status in {Status.WARNING, Status.CRITICAL}
        and wider.status.severity >= verdict.status.severity
        and {item.object for item in verdict.evidence} <= {item.object for item in wider.evidence}
    )


def explaining(
    id: str, catalogue: Mapping[str, Check], status: Status, verdicts: Mapping[str, Verdict] | None = None
) -> list[str]:
    """Return every check whose failure explains `status` of this one, nearest first.

    With `verdicts`, a chain ends at a healthy check: what lies behind it has no effect here. Without, the checks that
    overlap are among them.
    """
    found: list[str] = []
    pending = [id]
    while pending:
        check = catalogue[pending.pop(0)]
        overlaps = check.overlaps if verdicts is None else ()
        for cause in (*check.causes, *overlaps, *(check.needs if status is Status.UNKNOWN else ())):
            if cause not in found:
                found.append(cause)
                if verdicts is None or cause not in verdicts or verdicts[cause].status is not Status.OK:
                    pending.append(cause)
    return found
