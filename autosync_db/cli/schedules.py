"""`schedules ...`: what is synced how often, and when next."""

import uuid
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autosync_db.cli import completion
from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group
from autosync_db.errors import UsageError, unknown

if TYPE_CHECKING:
    from autosync_db.schedules.table import Schedule

app = group()

Id = Annotated[
    str,
    typer.Argument(
        help="Id of the schedule, or its first characters: 4 or more.",
        show_default=False,
        autocompletion=completion.schedules,
    ),
]
Every = Annotated[int | None, typer.Option("--every", help="Minutes between runs, 1 to 44640.", metavar="MINUTES")]
WindowText = Annotated[
    str | None,
    typer.Option("--window", help="Only run from START to END, e.g. 22:00-02:00; `none` for the whole day."),
]
Zone = Annotated[str | None, typer.Option("--timezone", help="IANA zone of the window, e.g. Europe/Paris.")]
Direction = Annotated[str | None, typer.Option(help="import, export or bidirectional.")]
Conflicts = Annotated[
    str | None, typer.Option("--conflict-resolution", help="newest_wins, local_wins, remote_wins or manual.")
]


@command(app, "list")
def _list(
    session: Session,
    state: Annotated[
        str | None,
        typer.Option(
            help="Only those in this state, e.g. overdue, failing, `never run`.", autocompletion=completion.states
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to list at most.")] = 100,
) -> None:
    """List schedules with their state, next run, integration, organization, and why the last run failed.

    On a narrow terminal ids are shortened; every command accepts the beginning of one.
    """
    from autosync_db.connection import connect
    from autosync_db.report import as_schedules
    from autosync_db.schedules import table

    if state is not None and state not in table.STATES:
        raise unknown("state", state, table.STATES, hint=f"choose one of: {', '.join(table.STATES)}")
    with connect(session.configuration.target.database_url) as connection:
        found = table.find(connection, state=state, limit=limit)
        now = session.look(connection)
    if session.is_json:
        from dataclasses import asdict

        session.print_json([asdict(row) | {"next_run_local": row.next_run_local} for row in found])
        return
    if not found and state:
        session.nothing(f"no schedule is in the state {state}", next="autosync-db schedules list")
        return
    if not found:
        add = "autosync-db schedules add --integration ID --every 15"
        session.nothing("there are no schedules yet", next=add)
        return
    session.head(of_rows=True)
    as_schedules.listed(found, session.out, now)
    if len(found) == limit:
        session.say(f"only the first {limit} are listed; raise --limit for more")
    if any(row.state in {"overdue", "no next run"} for row in found):
        session.say("next: autosync-db verify")
    elif failing := [row for row in found if row.state == "failing"]:
        session.say(f"next: autosync-db schedules show {failing[0].id}")


@command(app, "show")
def _show(session: Session, id: Id) -> None:
    """Show everything about a schedule: settings, next run, claim, and the last run with what it reported."""
    from autosync_db.connection import connect
    from autosync_db.report import as_schedules
    from autosync_db.schedules import table

    with connect(session.configuration.target.database_url) as connection:
        found, row = table.get(connection, table.resolve(connection, id))
        now = session.look(connection)
    if session.is_json:
        _print_json(session, found, row)
        return
    session.head()
    as_schedules.one(found, row, session.out, now)


@command(app, "run")
def _run(
    session: Session,
    id: Id,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the outcome.")] = False,
) -> None:
    """Run one schedule now and wait for its outcome; exit 3 if it fails or is not run.

    It is made due before all others, and a tick is made as pg_cron makes it: other due schedules run as at any tick.
    Refused while it is disabled, outside its window or being run, or while the job that runs schedules is paused.
    """
    from autosync_db.connection import connect
    from autosync_db.health import running
    from autosync_db.report import as_schedules
    from autosync_db.schedules import table

    with connect(session.configuration.target.database_url) as connection:
        chosen = table.resolve(connection, id)
        session.say_unapplied(connection)
        with session.progress("waiting for the outcome") as say:
            found = running.run(connection, session.configuration.settings, chosen, wait=not no_wait, say=say)
        now = session.look(connection)
    if session.is_json:
        session.print_json(found)
    else:
        as_schedules.run(found, session.out, now)
    if no_wait:
        session.say(f"see the outcome with: autosync-db schedules show {chosen}")
    else:
        running.require_success(found)


@command(app, "add")
def _add(
    session: Session,
    integration: Annotated[uuid.UUID, typer.Option(help="Integration that is synced; one schedule each.")],
    organization: Annotated[
        uuid.UUID | None, typer.Option(help="Organization that it belongs to; needed in mode organization.")
    ] = None,
    every: Every = None,
    window: WindowText = None,
    timezone: Zone = None,
    direction: Direction = None,
    conflict_resolution: Conflicts = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Add it switched off.")] = False,
) -> None:
    """Add a schedule; it is due at once, or when its window opens."""
    from autosync_db.connection import connect
    from autosync_db.schedules import table

    values = _values(every, window, timezone, direction, conflict_resolution)
    values |= {"integration_id": integration, "enabled": not disabled}
    if organization is not None:
        values["organization_id"] = organization
    with connect(session.configuration.target.database_url) as connection:
        id = table.add(connection, values)
    if session.is_json:
        session.print_json({"id": id})
    else:
        session.print_text(str(id))


@command(app, "set")
def _set(
    session: Session,
    id: Id,
    every: Every = None,
    window: WindowText = None,
    timezone: Zone = None,
    direction: Direction = None,
    conflict_resolution: Conflicts = None,
) -> None:
    """Change settings of a schedule; its next run is recomputed from the last one."""
    _change(session, id, _values(every, window, timezone, direction, conflict_resolution))


@command(app, "enable")
def _enable(session: Session, id: Id) -> None:
    """Switch a schedule on."""
    _change(session, id, {"enabled": True})


@command(app, "disable")
def _disable(session: Session, id: Id) -> None:
    """Switch a schedule off; a run under way is not interrupted."""
    _change(session, id, {"enabled": False})


@command(app, "remove")
def _remove(
    session: Session,
    id: Id,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a schedule."""
    from autosync_db.connection import connect
    from autosync_db.schedules import table

    url = session.configuration.target.database_url
    with connect(url) as connection:
        chosen = table.resolve(connection, id)
    # asked about by its whole id, and without keeping a connection while somebody thinks
    session.confirm(f"Delete the schedule {chosen}?", flag="--yes", given=yes)
    with connect(url) as connection:
        table.remove(connection, chosen)
    if session.is_json:
        session.print_json({"id": chosen, "outcome": "deleted"})
    session.say(f"deleted {chosen}")


@command(app, "preview")
def _preview(
    session: Session,
    every: Annotated[int, typer.Option("--every", help="Minutes between runs, 1 to 44640.", metavar="MINUTES")] = 15,
    window: WindowText = None,
    timezone: Annotated[str, typer.Option("--timezone", help="IANA zone of the window.")] = "UTC",
    start: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            help="Time from which it is enabled, in UTC [default: now].",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d"],
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10000, help="How many runs to show.")] = 10,
) -> None:
    """Show the next runs of a schedule, clock changes included; contacts no database."""
    from autosync_db.report import as_text
    from autosync_db.schedules import preview

    _require_frequency(every)
    bounds = _window(window)
    try:
        zone = preview.find_zone(timezone)
    except ValueError:
        raise UsageError(
            f"timezone must be UTC or an IANA name such as Europe/Paris, not {timezone!r}",
            hint="abbreviations and offsets do not follow daylight saving time",
        ) from None
    try:
        runs = list(
            preview.preview(
                frequency_minutes=every,
                window=preview.Window(*bounds) if bounds else None,
                zone=zone,
                at=start.replace(tzinfo=UTC) if start else datetime.now(UTC).replace(microsecond=0),
                count=count,
            )
        )
    except OverflowError:
        raise UsageError(
            "these runs are outside the years 1 to 9999", hint="choose another --from, or a smaller --count"
        ) from None
    if session.is_json:
        session.print_json(runs)
        return
    rows = [(f"{run.at:%Y-%m-%d %H:%M:%S}", f"{run.local:%a %Y-%m-%d %H:%M:%S %Z}", run.note or "") for run in runs]
    if timezone == "UTC":
        as_text.table(("UTC", "note"), [(local, note) for _, local, note in rows], session.out)
    else:
        as_text.table(("UTC", timezone, "note"), rows, session.out)


def _print_json(session: Session, found: "Schedule", row: dict[str, Any]) -> None:
    session.print_json(row | {"state": found.state, "reason": found.reason, "next_run_local": found.next_run_local})


def _change(session: Session, id: str, values: dict[str, Any]) -> None:
    from autosync_db.connection import connect
    from autosync_db.schedules import table

    with connect(session.configuration.target.database_url) as connection:
        chosen = table.resolve(connection, id)
        table.change(connection, chosen, values)
        found, row = table.get(connection, chosen)
    if session.is_json:
        _print_json(session, found, row)
    session.say(f"changed {chosen}")


def _values(
    every: int | None,
    window: str | None,
    timezone: str | None,
    direction: str | None,
    conflict_resolution: str | None,
) -> dict[str, Any]:
    given: dict[str, Any] = {
        "frequency_minutes": every,
        "timezone": timezone,
        "direction": direction,
        "conflict_resolution": conflict_resolution,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if every is not None:
        _require_frequency(every)
    if window is not None:
        bounds = _window(window)
        values |= {
            "time_window_enabled": bounds is not None,
            "time_window_start": bounds[0] if bounds else None,
            "time_window_end": bounds[1] if bounds else None,
        }
    return values


def _require_frequency(minutes: int) -> None:
    """Refuse what the table would refuse, with the table's message, and what does not even fit its column."""
    if not 1 <= minutes <= 44640:
        raise UsageError(
            f"frequency_minutes must be between 1 and 44640 (31 days), not {minutes}",
            hint="pass --every with a number of minutes in that range",
        )


def _window(text: str | None) -> tuple[time, time] | None:
    if text is None or text == "none":
        return None
    start, _, end = text.partition("-")
    try:
        bounds = time.fromisoformat(start.strip()), time.fromisoformat(end.strip())
    except ValueError:
        bounds = None
    if bounds is None or bounds[0] == bounds[1] or any(bound.tzinfo for bound in bounds):
        raise UsageError(
            f"{text!r} is not a time window",
            hint="write START-END with different times, e.g. 08:00-18:00 or 22:00-02:00",
        )
    return bounds
