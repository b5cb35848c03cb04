"""`explain`."""

from typing import Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command

app = typer.Typer(add_completion=False)


@command(app, "explain")
def _explain(
    session: Session,
    id: Annotated[str | None, typer.Argument(help="Check to explain; without it all are listed.")] = None,
) -> None:
    """Print the page of a check: its claim, why it matters, how it looks, its query and its remedy."""
    from autosync_db.health import catalogue, composer

    if id is None:
        _list(session)
        return
    check, page = catalogue.find(id), composer.page(id)
    if session.target:
        page = session.configuration.aim.at(page)
    if session.is_json:
        query = composer.runnable(id, check) if check.has_query else None
        facts = {"id": id, "layer": check.layer, "claim": check.claim, "remedy": check.remedy}
        session.print_json(facts | {"remedies": dict(check.remedies), "query": query, "page": page})
    elif session.out.is_terminal:
        from rich.markdown import Markdown

        session.out.print(Markdown(page))
    else:
        session.print_text(page)


def _list(session: Session) -> None:
    from autosync_db.health import catalogue
    from autosync_db.report import as_text

    rows = [(check.layer, id, check.claim) for id, check in catalogue.all_checks().items()]
    if session.is_json:
        session.print_json([{"id": id, "layer": layer, "claim": claim} for layer, id, claim in rows])
    else:
        as_text.table(("layer", "id", "claim"), rows, session.out)
