"""What a shell completes: names of this folder's settings, and ids of the database that is meant.

Whoever presses a key waits for it with a half-written command line: nothing is ever said, and a database that does not
answer at once is not waited for.
"""

import contextlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, get_args

import typer

if TYPE_CHECKING:
    from autosync_db.config import Configuration
    from autosync_db.connection import Connection

# a name, and what a shell shows beside it
Offer = tuple[str, str]
_SECONDS = 2
# a name with a blank would be two words of the command line
_BLANK = re.compile(r"\s")
_PLAIN = str.maketrans("[]", "()")
_MOST = 100


def _offered(look: Callable[[typer.Context, str], Iterable[Offer]]) -> Callable[[typer.Context, str], list[Offer]]:
    """Return a completer of what `look` finds: what begins as the word does, and nothing where looking fails."""

    @wraps(look)
    def complete(context: typer.Context, incomplete: str) -> list[Offer]:
        try:
            # also what libraries warn of
            with contextlib.redirect_stderr(io.StringIO()):
                known = dict(look(context, incomplete))
        except (Exception, SystemExit):
            return []
        fitting = [one for one in known.items() if one[0].startswith(incomplete) and not _BLANK.search(one[0])]
        # Rich would take what is in brackets for a style
        return [(name, " ".join(text.split()).translate(_PLAIN)) for name, text in fitting[:_MOST]]

    # Typer takes the types of a completer's parameters for their meaning
    complete.__annotations__ = {"context": typer.Context, "incomplete": str, "return": list[Offer]}
    del complete.__wrapped__
    return complete


def _chosen(context: typer.Context) -> "Configuration":
    """Return the settings that the half-written command line chooses."""
    from autosync_db import config
    from autosync_db.secret import Secret

    given = context.params
    url = given.get("database_url")
    return config.load(config.Flags(Secret(url) if url else None, given.get("target"), given.get("config")))


@contextlib.contextmanager
def _database(context: typer.Context) -> "Iterator[tuple[Connection, Configuration]]":
    """Yield a connection that soon gives up, and the settings."""
    from psycopg import conninfo

    from autosync_db.connection import connect
    from autosync_db.connection.url import parameters
    from autosync_db.secret import Secret

    configuration = _chosen(context)
    url = configuration.target.database_url
    soon = conninfo.make_conninfo(**(parameters(url) | {"connect_timeout": _SECONDS}))
    with connect(Secret(soon)) as connection, connection.transaction():
        connection.execute("set transaction read only")
        connection.execute(f"set local statement_timeout = '{_SECONDS}s'".encode())
        yield connection, configuration


@_offered
def targets(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return what --target takes."""
    from autosync_db import config
    from autosync_db.config.target import known_targets
    from autosync_db.errors import UsageError

    yield config.LOCAL_TARGET, "the local stack"
    yield config.STACK_TARGET, "the stack of supabase start"
    try:
        settings, _ = config.read(config.Flags(config=context.params.get("config")))
    except UsageError:
        settings = config.Settings()
    yield from ((name, "of autosync.toml") for name in settings.targets)
    yield from ((name, "of supabase/") for name in sorted(known_targets(settings) - settings.targets.keys()))


@_offered
def checks(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return the checks."""
    from autosync_db.health import catalogue

    # their claims would have to be loaded first
    return [(id, "a check") for id in catalogue.ids()]


@_offered
def layers_and_checks(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return the layers, then the checks."""
    from autosync_db.health import catalogue, model

    return [*((layer, "a layer") for layer in get_args(model.Layer)), *((id, "a check") for id in catalogue.ids())]


@_offered
def pages(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return what can be explained."""
    from autosync_db.report import pages

    return [(id, "") for id in pages.ids()]


@_offered
def jobs(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return the jobs of the settings; where they name none, those of the database."""
    settings = _chosen(context).settings
    if settings.names_jobs:
        yield from ((name, job.schedule or "") for name, job in {**settings.jobs, **settings.elsewhere}.items())
        return
    from autosync_db.jobs import registry

    with _database(context) as (connection, _):
        yield from ((job.name, job.does) for job in registry.all_jobs(connection))


@_offered
def schedules(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return the ids of schedules."""
    from autosync_db.schedules import table

    with _database(context) as (connection, _):
        yield from table.beginning(connection, incomplete, _MOST)


@_offered
def states(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return the states of schedules."""
    from autosync_db.schedules import table

    return [(state, "") for state in table.STATES]


@_offered
def calls(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return `show`, then the numbers of the newest calls."""
    typed = context.params.get("show") or ()
    if not context.args and not typed:
        yield "show", "one call"
        return
    from autosync_db.jobs import calls, registry

    with _database(context) as (connection, _):
        names = [job.name for job in registry.all_jobs(connection)]
        yield from ((str(call.id), f"{call.job}: {call.summary}") for call in calls.of_jobs(connection, names, 20))


@_offered
def secrets(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return the names of secrets that are stored or needed."""
    from autosync_db.credentials import store

    with _database(context) as (connection, _):
        yield from ((name, "stored") for name in store.stored(connection))
        yield from ((name, "needed") for name in store.needed(connection))


@_offered
def revisions(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return the revisions, the newest first."""
    from autosync_db.schema import revisions

    yield "head", "the newest"
    yield from ((id, "") for id in reversed(revisions.known()))
    yield "base", "before the first"


@_offered
def logs(context: typer.Context, incomplete: str) -> Iterable[Offer]:
    """Return the logs of the local stack."""
    from autosync_db.local import stack

    return [(name, "") for name in stack.LOGS]
