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
        str | None,
        typer.Option(help="Ref of the Supabase project, for the target `production` [default: the linked one]."),
    ] = None,
    path: Annotated[Path, typer.Option("--path", help="File to write.")] = Path("autosync.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write autosync.toml with every setting at its default.

    Where supabase/ is, its targets are the project of `supabase link` and those of [remotes.NAME] in config.toml.
    """
    from autosync_db import scaffold
    from autosync_db.supabase import address, folder

    found = folder.find(Path.cwd())
    targets = folder.targets(found, project_ref)
    if project_ref is None and targets["production"] is None and session.can_ask:
        entered = session.ask("Project ref (empty: fill in later)", default="")
        targets = folder.targets(found, entered or None)
    for ref in filter(None, targets.values()):
        address.url_of(ref)
    scaffold.write_settings(path, targets, force=force)
    if found:
        for name, its_ref in targets.items():
            if its_ref and its_ref != project_ref:
                session.say(f"target {name} is the project {its_ref}, from {found}")
    option = " --target production" if len(targets) > 1 else ""
    linked = folder.link(found) if found else None
    password = f" (or {folder.PASSWORD_VARIABLE})" if linked and linked.project_ref == targets["production"] else ""
    session.say(f"wrote {path}; next: export SUPABASE_DB_URL{password}, then: autosync-db setup{option}")
