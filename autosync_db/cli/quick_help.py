"""Help without what Typer loads for forms of help that are not used here, and with names of values."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from typer.core import HAS_RICH, TyperCommand, TyperGroup, TyperOption

# Typer's module for help imports them for help written in Markdown and for tracebacks with frames around them; the
# first brings a parser of Markdown, the second one of Python: together more than half of what it costs to say --help
_SELDOM = {"rich.markdown": "Markdown", "rich.traceback": "Traceback"}


class Command(TyperCommand):
    """A command whose help starts quickly."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        load()
        name_values(self, ctx)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose help starts quickly."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        load()
        name_values(self, ctx)
        super().format_help(ctx, formatter)


def name_values(command: TyperCommand | TyperGroup, ctx: Any) -> None:
    """Let help show `--strict` and `--project-url URL`, where Typer shows `--strict <bool>` and `--project-url <str>`.

    A number keeps its bounds and a choice what can be chosen.
    """
    for option in command.get_params(ctx):
        if not isinstance(option, TyperOption) or option.metavar is not None:
            continue
        if option.is_flag or option.count:
            option.metavar = ""
        elif option.display_type(ctx) in {"<str>", "<path>"}:
            option.metavar = max(option.opts, key=len).rpartition("-")[2].upper()


def load() -> None:
    """Load Typer's module for help; the classes that it seldom needs are loaded if it does use them."""
    if HAS_RICH and "typer.rich_utils" not in sys.modules:
        with _on_demand():
            importlib.import_module("typer.rich_utils")


@contextmanager
def _on_demand() -> Iterator[None]:
    """Let the block import names of modules in whose place nothing is loaded yet."""
    absent = {name: only for name, only in _SELDOM.items() if name not in sys.modules}
    for name, only in absent.items():
        module = ModuleType(name)
        setattr(module, only, _Later(only, (), {"where": name}))
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


class _Later(type):
    """A class that stands for another one, which is loaded when something is made or asked of it."""

    where: str

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        return cls._real()(*arguments, **named)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls._real(), name)

    def _real(cls) -> Any:
        return getattr(importlib.import_module(cls.where), cls.__name__)
