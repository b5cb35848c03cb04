"""The page that a run of these tests writes: what was interrupted, what was left, and how long others waited."""

from typing import Any

from autosync_db.schema import locks

# the properties of a test, which travel from the workers of xdist
INTERRUPTION = "interruption"
LOCK_WAIT = "lock wait"

_PAGE = """\
# Interruption, concurrency and locks

`migrate` and `rollback` are one transaction each. Whatever ends them, the database is as it was or all is done; **the
same command again finishes**. The figures are what tests saw.

<!-- in the repository -->
They write this page:

```sh
pytest tests/schema/test_crash_points.py tests/schema/test_interruption.py tests/schema/test_locks.py \\
    --write-interruption docs/explanation/interruption.md
```
<!-- everywhere -->

## Crash points

A relay before the server counts how often it says that it is ready for more, and the process is killed before it hears
so: every such moment is a statement boundary, also the commit's, which the server has done and the process never heard
of. *Untouched* means that every row version in the system catalogs and in the tables is the one from before; *done*,
that schema, grants, job and registry are those of a lone run, with every row kept. A test fails when it is anything
else, or when a session or an advisory lock stays. *Finished* is after how many the command was run once more, and ended
as a lone run does.

| what | ended | untouched | done | finished |
|---|---|---|---|---|
{crashes}

The deployed state is a project that was set up without this tool, with rows ([adoption.md](adoption.md)). When the
server goes away the command exits 4, says so, and says to run it again; it does not claim that nothing was changed,
as a commit's answer may be what was lost. A process that is killed while it waits for a lock leaves the queue when
`lock_timeout` is over. One that stands still, as on a machine that sleeps, is sent away by the server after {idle}
(`idle_in_transaction_session_timeout`), so that it does not keep the tables locked.

## Several at once

Twenty processes that begin at once, on an empty database and on a deployed one: one works, nineteen wait for its
advisory lock and find nothing to do, and the end is that of a lone run. `alembic upgrade head` takes part in this like
`migrate`; it does not try again when it finds a lock.

## Long transactions

A migration needs both tables of the API for itself. It waits for each {timeout} (`lock_timeout`) **before it has locked
anything**, and lets it go again; only then it begins, with a `lock_timeout` of {held}. So it does not sit on one table,
or on changed rows, while a long transaction keeps it from another. What finds a lock gives way, names its holder, and
tries again, {attempts} times in all, after random pauses that grow:

```text
attempt 1 of 6: public.auto_sync_schedules is locked by session 4711 (user postgres, application nightly report,
in a transaction for 12 min)
```

Meanwhile the API waits no longer than the `lock_timeout`, and gets through between two attempts. Longest waits, by the
server's clocks, of statements that came one after the other from three sessions, with a `lock_timeout` that was
shortened for the test:

| long transaction | `lock_timeout` | {kinds} |
|---|---|{rules}
{waits}

`migrate` without a revision to apply does not wait so, and not at all when nothing is to do. Once a migration has its
locks, the API waits as long as [adoption.md](adoption.md) says. A deadlock with the application counts as a lock: the
migration tries again.

## Settings of the role

`statement_timeout`, `lock_timeout`, `transaction_timeout` and `idle_in_transaction_session_timeout` of the role do not
apply to `migrate`, `rollback` and `verify`. Nor does its isolation level apply to a migration: whoever waited for
another one would not see what that one did. Where a limit ends another command it exits 4 and names the setting. With
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
