"""What a command costs, from the start of its process to its end, beside what people run instead."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate
from benchmarks.side_by_side import Process, Row, compare
from tests.support import clusters, command, http_stub, keys, tools

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent


def rows(runs: int) -> Iterator[Row]:
    """Measure on clusters of its own; `runs` pairs of each."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        elsewhere = Path(folder)
        yield from _help(runs, elsewhere)
        ready = stack.enter_context(_set_up(elsewhere))
        yield from _on_a_healthy_database(runs, elsewhere, ready)
        yield _on_an_empty_one(runs, elsewhere)


def _help(runs: int, folder: Path) -> Iterator[Row]:
    alembic = Process([PROGRAMS / "alembic", "--help"], _environment(), ROOT)
    for option, target in {"--help": 0.35, "--version": 0.2}.items():
        ours = Process([PROGRAMS / "autosync-db", option], _environment(), folder)
        yield compare(
            f"`{option}`", ours.seconds, "`alembic --help`", alembic.seconds, target=target, unit="s", runs=runs
        )


def _on_a_healthy_database(runs: int, folder: Path, database: Cluster) -> Iterator[Row]:
    variables = _environment(database)
    verify = Process([PROGRAMS / "autosync-db", "verify"], variables, folder)
    unchanged = Process([PROGRAMS / "autosync-db", "migrate"], variables, folder)
    current = Process([PROGRAMS / "alembic", "current"], variables, ROOT)
    head = Process([PROGRAMS / "alembic", "upgrade", "head"], variables, ROOT)
    for what, ours, peer, theirs, target in (
        ("`verify`, healthy", verify, "`alembic current`", current, 0.6),
        ("`migrate`, nothing to do", unchanged, "`alembic upgrade head`", head, 0.5),
    ):
        yield compare(what, ours.seconds, peer, theirs.seconds, target=target, unit="s", runs=runs)
    for what, ours, peer, theirs, target in (
        ("peak memory of `verify`", verify, "`alembic current`", current, 0.7),
        ("peak memory of `migrate`, nothing to do", unchanged, "`alembic upgrade head`", head, 1.0),
    ):
        yield compare(what, ours.megabytes, peer, theirs.megabytes, target=target, unit="MB", runs=min(runs, 5))


def _on_an_empty_one(runs: int, folder: Path) -> Row:
    exported = folder / "exported"
    exported.mkdir()
    command.succeeds(command.run("export", "supabase", "--dir", str(exported / "supabase/migrations")))
    with clusters.created() as first, clusters.created() as second:
        ours = Process([PROGRAMS / "autosync-db", "migrate"], _environment(first), folder, before=lambda: _empty(first))
        push: list[str | Path] = [tools.supabase(), "db", "push", "--db-url", second.url().reveal(), "--yes"]
        variables = {**_environment(), "HOME": str(folder), "SUPABASE_TELEMETRY_DISABLED": "1"}
        theirs = Process(push, variables, exported, before=lambda: _empty(second))
        return compare(
            "`migrate`, empty database", ours.seconds, "`supabase db push` of the exported files", theirs.seconds,
            target=1.0, unit="s", runs=min(runs, 5),
        )  # fmt: skip


def _empty(cluster: Cluster) -> None:
    migrate.downgrade(cluster.url(), "base", drop_rows=True)
    with clusters.connect(cluster) as connection:
        connection.execute("drop schema if exists supabase_migrations cascade")
        connection.execute("drop schema if exists autosync cascade")


@contextmanager
def _set_up(folder: Path) -> Iterator[Cluster]:
    with clusters.created() as cluster, http_stub.serve() as stub, clusters.pg_net_worker(cluster):
        variables = {"SUPABASE_SERVICE_ROLE_KEY": keys.secret().reveal()}
        done = command.run("setup", "--project-url", stub.url, database=cluster.url(), variables=variables)
        command.succeeds(done)
        yield cluster


def _environment(database: Cluster | None = None) -> dict[str, str]:
    variables = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    return variables if database is None else {**variables, "AUTOSYNC_DATABASE_URL": database.url().reveal()}
