"""`init`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli.checklist import Checklist
from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import StoppedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autosync_db.progress import Onward
    from autosync_db.supabase.folder import Link

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

    If there is a supabase/ folder, the targets are the project of `supabase link` and those of [remotes.NAME] in
    config.toml.
    """
    from autosync_db import scaffold
    from autosync_db.progress import Step
    from autosync_db.supabase import address, folder

    scaffold.require_free(path, force=force)
    checklist = Checklist(session, ("folder", "project", "file"))
    try:
        with checklist.open():
            checklist.begins("folder")
            found = folder.find(Path.cwd())
            checklist.done(
                Step("folder", f"the Supabase CLI's {found}" if found else "no supabase/ here", found is not None)
            )
            checklist.begins("project")
            if project_ref is not None:
                address.url_of(project_ref)
            targets = folder.targets(found, project_ref)
            if project_ref is None and targets["production"] is None and session.can_ask:
                project_ref = _asked_ref(session)
                targets = folder.targets(found, project_ref)
            for name, ref in targets.items():
                is_read = found is not None and ref != project_ref
                checklist.done(Step("project", _said_of(name, ref, found if is_read else None), ref is not None))
            checklist.begins("file")
            scaffold.write_settings(path, targets, force=force)
            checklist.done(Step("file", f"wrote {path}", True))
    except (KeyboardInterrupt, typer.Abort):
        # the file is written whole or not at all
        is_written = any(step.name == "file" and step.changed for step in checklist.steps)
        kept = f"{path} is written" if is_written else f"{path} was not written"
        raise StoppedError(f"interrupted; {kept}", hint="begin again with: autosync-db init") from None
    if (above := _above(path)) is not None:
        session.say(f"warning: {above} is not read in this folder any more: the new file is nearer")
    onward = _onward(path, targets, folder.link(found) if found else None)
    if session.is_json:
        session.print_json({"path": str(path), "targets": targets, "steps": checklist.steps, "next": onward})
    else:
        session.say_onward(onward)


def _above(path: Path) -> Path | None:
    """Return the settings file of a folder above that was read here until this one was written."""
    folder = path.absolute().parent
    if path.name != "autosync.toml" or folder != Path.cwd():
        return None
    return next((one / path.name for one in folder.parents if (one / path.name).is_file()), None)


def _onward(path: Path, targets: "Mapping[str, str | None]", linked: "Link | None") -> "tuple[Onward, ...]":
    """Return the commands that come after, for the targets with their refs."""
    from autosync_db import scaffold
    from autosync_db.progress import Onward
    from autosync_db.supabase import folder

    is_linked = linked is not None and linked.project_ref == targets["production"]
    variable = f"{folder.PASSWORD_VARIABLE}='...'" if is_linked else "SUPABASE_DB_URL='postgresql://...'"
    where = "Settings > Database" if is_linked else "Connect > Session pooler"
    options = " --target production" if len(targets) > 1 else ""
    options += "" if targets["production"] else " --project-ref REF"
    options += scaffold.config_option(path)
    return (
        Onward(f"export {variable}", where),
        Onward("autosync-db scaffold function", "or keep the one deployed"),
        Onward(f"autosync-db setup{options}", "the rest, with a real call"),
    )


def _asked_ref(session: Session) -> str | None:
    """Return the ref that somebody at the terminal names, by whatever address of the project; None for later."""
    from autosync_db.supabase import address

    while True:
        entered = session.ask("Project ref, or the address of its dashboard (empty: fill in later)", default="")
        if not entered:
            return None
        try:
            return address.ref_within(entered)
        except UsageError as error:
            session.say(f"{error.message}: {error.hint}")


def _said_of(name: str, ref: str | None, source: Path | None) -> str:
    if ref is None:
        return f"target {name}: fill in project_ref later"
    return f"target {name} is the project {ref}" + (f", from {source}" if source else "")
