"""A page of Markdown on a terminal."""

from rich import markdown
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text


class _CodeBlock(markdown.CodeBlock):
    """Code in lines as long as they are: broken at the edge of a terminal, a query that is copied is another one."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(str(self.text).rstrip(), style="cyan", no_wrap=True, overflow="ignore")


class _Markdown(markdown.Markdown):
    elements = markdown.Markdown.elements | {"fence": _CodeBlock, "code_block": _CodeBlock}


def page(text: str, console: Console) -> None:
    """Print a page; prose is wrapped, code is not."""
    console.print(_Markdown(text), crop=False)
