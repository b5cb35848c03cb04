"""`explain`."""

from typing import Annotated

import typer

from autosync_db.cli import completion
from autosync_db.cli.console import Session
from autosync_db.cli.options import command

app = typer.Typer(add_completion=False)


@command(app, "explain")
def _explain(
    session: Session,
    id: Annotated[
        str | None,
        typer.Argument(
            help="Check or topic to explain, e.g. keys; without it, all are listed.",
            metavar="CHECK|TOPIC",
            autocompletion=completion.pages,
        ),
    ] = None,
) -> None:
    """Print the page of a check or of a topic.

    A check's page has its claim, why it matters, how it looks, its query and its remedy.
    """
    from autosync_db.report import pages

    if id is None:
        _list(session)
        return
    page = pages.page(id)
    if session.target:
        page = session.configuration.aim.at(page)
    if session.is_json:
        session.print_json(({"id": id} if id in pages.TOPICS else _facts(id)) | {"page": page}, mask=False)
    elif session.out.is_terminal:
        from autosync_db.report import as_markdown

        as_markdown.page(page, session.out)
    else:
        session.print_text(page)


def _facts(id: str) -> dict[str, object]:
    from autosync_db.health import catalogue, composer

    check = catalogue.find(id)
    query = composer.runnable(id, check) if check.has_query else None
    facts = {"id": id, "layer": check.layer, "claim": check.claim, "remedy": check.remedy}
    return facts | {"remedies": dict(check.remedies), "query": query}


def _list(session: Session) -> None:
    from autosync_db.health import catalogue
    from autosync_db.report import as_text, pages

    rows: list[tuple[str, str, str]] = [(check.layer, id, check.claim) for id, check in catalogue.all_checks().items()]
    rows += [("topic", id, pages.title(id)) for id in pages.TOPICS]
    if session.is_json:
        session.print_json([{"id": id, "layer": layer, "claim": claim} for layer, id, claim in rows])
    else:
        as_text.table(("layer", "id", "claim"), rows, session.out)
