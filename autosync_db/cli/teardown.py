"""`teardown`."""

from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command

if TYPE_CHECKING:
    from autosync_db.setup.teardown import Done

app = typer.Typer(add_completion=False)


@command(app, "teardown")
def _teardown(
    session: Session,
    keep_data: Annotated[
        bool,
        typer.Option("--keep-data", help="Keep public.auto_sync_schedules with its rows, policies and grants."),
    ] = False,
    drop_extensions: Annotated[
        bool,
        typer.Option(
            "--drop-extensions",
            help="Drop pg_cron and pg_net, too, if they were made here and nothing else uses them.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed and stay; change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove everything that was made here, and restore what was there before.

    Removes jobs, functions, tables, the schema autosync and the stored secrets: first save those that you have nowhere
    else. Jobs and tables that were taken over are restored; a secret that such a job reads stays for it. Objects that
    were not made here are never dropped: if one needs ours, it is named, and nothing is changed. It is one transaction:
    if it is killed, nothing has changed. `rollback base` does the same for a database that you will migrate again: it
    leaves the recorded revision and the secrets in the vault.
    """
    from autosync_db.setup import teardown

    configuration = session.configuration
    found = teardown.foresee(configuration, keep_data=keep_data, drop_extensions=drop_extensions)
    if dry_run:
        _show(session, found, is_dry=True)
        teardown.require_free(found.refused)
        return
    teardown.require_free(found.refused)
    if found.is_nothing:
        _show(session, found)
        return
    if not yes:
        for line in _lines(found, ("would be removed", "would be restored", "would stay")):
            session.say(line)
    session.confirm(f"Remove all this from the target {configuration.target.name}?", flag="--yes", given=yes)
    with session.progress("removing everything") as say:
        done = teardown.run(configuration, found, keep_data=keep_data, drop_extensions=drop_extensions, on_retry=say)
    for warning in done.warnings:
        session.say(f"warning: {warning}")
    _show(session, done)


def _show(session: Session, done: "Done", *, is_dry: bool = False) -> None:
    if session.is_json:
        session.print_json(
            {
                "schema_version": 1,
                "target": session.configuration.target.name,
                "dry_run": is_dry,
                "removed": done.removed,
                "given_back": done.given_back,
                "stays": done.stays,
                "refused": done.refused,
                "warnings": done.warnings,
            }
        )
        return
    if done.is_nothing:
        session.say("nothing to do: nothing of autosync-db is here")
    words = ("would be removed", "would be restored", "would stay") if is_dry else ("removed", "restored", "stays")
    for line in _lines(done, words):
        session.print_text(line)


def _lines(done: "Done", words: tuple[str, str, str]) -> list[str]:
    groups = ((words[0], done.removed), (words[1], done.given_back), (words[2], done.stays))
    return [
        f"{word}: {item.kind} {item.name}" + (f" ({item.detail})" if item.detail else "")
        for word, items in groups
        for item in items
    ]
