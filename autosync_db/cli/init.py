"""`init`."""

from pathlib import Path
from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command

app = typer.Typer(add_completion=False)


@command(app, "init")
def _init(
    session: Session,
    project_ref: Annotated[
        str | None, typer.Option(help="Ref of the Supabase project, for the target `production`.")
    ] = None,
    path: Annotated[Path, typer.Option("--path", help="File to write.")] = Path("autosync.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write autosync.toml with every setting at its default."""
    from autosync_db import scaffold
    from autosync_db.supabase import address as project

    if project_ref is None and session.can_ask:
        project_ref = session.ask("Project ref (empty: fill in later)", default="")
    if project_ref:
        project.url_of(project_ref)
    scaffold.write_settings(path, project_ref or None, force=force)
    session.say(f"wrote {path}; next: autosync-db setup --target production")
