"""The page that a run of these tests writes: what was interrupted, what was left, and how long others waited."""

from typing import Any

from autosync_db.schema import locks

# the properties of a test, which travel from the workers of xdist
INTERRUPTION = "interruption"
LOCK_WAIT = "lock wait"

_PAGE = """\
# Interruption, concurrency and locks

`migrate` and `rollback` are one transaction each. Whatever ends them, the database is as it was or everything is done;
**run the same command again to finish**. The figures were measured by tests.

<!-- in the repository -->
The tests write this page:

```sh
pytest tests/schema/test_crash_points.py tests/schema/test_interruption.py tests/schema/test_locks.py \\
    --write-interruption docs/explanation/interruption.md
```
<!-- everywhere -->

## Crash points

A relay before the server counts how often the server says that it is ready for more, and kills the process before it
gets that message. Every such moment is a statement boundary, including the commit, which the server has done without
the process knowing. *Untouched* means that every row version in the system catalogs and in the tables is the one from
before; *done*, that schema, grants, job and registry are those of a single run, with every row kept. A test fails if it
is anything else, or if a session or an advisory lock stays. *Finished* counts the cases after which the command was run
once more, and ended as a single run does.

| what | ended | untouched | done | finished |
|---|---|---|---|---|
{crashes}

The deployed state is a project that was set up manually, with rows ([adoption.md](../guides/adoption.md)). When the
server goes away the command exits 4, says so, and says to run it again; it does not claim that nothing was changed,
since the lost message may be the answer to the commit. A process that is killed while it waits for a lock leaves the
queue when `lock_timeout` is over. A process can also stop, as on a machine that sleeps: an idle one is disconnected by
the server after {idle} (`idle_in_transaction_session_timeout`), so that it does not keep the tables locked.

## Several at once

Twenty processes start at once, on an empty database and on a deployed one: one works, nineteen wait for its advisory
lock and find nothing to do, and the result is that of a single run. `alembic upgrade head` behaves like `migrate` here,
but it does not retry when it finds a lock.

## Long transactions

A migration needs exclusive locks on both tables of the API. It waits for each for {timeout} (`lock_timeout`) **before
it has locked anything**, and releases it again; only then does it begin, with a `lock_timeout` of {held}. So it does
not hold one table, or corrected rows, while a long transaction blocks another. If it finds a lock, it backs off, says
which session holds it, and tries again, {attempts} times in all, after random pauses that grow:

```text
attempt 1 of 6: public.auto_sync_schedules is locked by session 4711 (user postgres, application nightly report,
in a transaction for 12 min)
```

During that time the API waits no longer than the `lock_timeout`, and gets through between two attempts. These are the
longest waits, by the server's clocks, of statements that three sessions sent one after the other, with a
`lock_timeout` that was shortened for the test:

| long transaction | `lock_timeout` | {kinds} |
|---|---|{rules}
{waits}

`migrate` without a revision to apply does not wait like this, and does not wait at all if there is nothing to do. Once
a migration has its locks, the API waits as long as [adoption.md](../guides/adoption.md) says. A deadlock with the
application counts as a lock: the migration tries again.

## Settings of the role

`statement_timeout`, `lock_timeout`, `transaction_timeout` and `idle_in_transaction_session_timeout` of the role do not
apply to `migrate`, `rollback` and `verify`. Nor does its isolation level apply to a migration: a migration that waited
for another one would not see what that one did. If a limit ends another command, it exits 4 and names the setting. With
`default_transaction_read_only` on, `migrate`, `rollback` and `setup` exit 5 and say so.
"""


def page(found: list[tuple[str, Any]]) -> str:
    """Return the page for the properties of the tests of a run."""
    crashes = [value for name, value in found if name == INTERRUPTION]
    waits = [value for name, value in found if name == LOCK_WAIT]
    kinds = list(waits[0]["worst"]) if waits else []
    return _PAGE.format(
        crashes="\n".join(
            f"| {c['what']} | {c['ended']} | {c['untouched']} | {c['done']} | {c['finished']} |" for c in crashes
        ),
        kinds=" | ".join(kinds),
        rules="---|" * len(kinds),
        waits="\n".join(
            f"| {wait['name']} | {_seconds(wait['timeout'])} | "
            + " | ".join(_seconds(wait["worst"][kind]) for kind in kinds)
            + " |"
            for wait in waits
        ),
        timeout=_spaced(locks.LOCK_TIMEOUT),
        held=_spaced(locks.HELD_LOCK_TIMEOUT),
        idle=_spaced(locks.IDLE_TIMEOUT),
        attempts=locks.LOCK_ATTEMPTS,
    )


def _spaced(setting: str) -> str:
    return setting.replace("s", " s")


def _seconds(value: float) -> str:
    return f"{value:.3f} s"
