"""The command line itself, as Typer knows it."""

from typing import Annotated

import typer

from autosync_db.cli import version_line
from autosync_db.cli.root import Root

app: typer.Typer = typer.Typer(
    cls=Root,
    name="autosync-db",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_line())
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Scheduled Edge Functions on Supabase and Postgres that provably run.

    `setup` installs the whole chain, `verify` says whether the function really ran, and if not, why not.

    Exit codes: 0 done or healthy, 1 a bug, 2 usage or settings, 3 a check failed, 4 server unreachable or access
    refused, 5 migration pending or failed, 6 secret refused.
    """
