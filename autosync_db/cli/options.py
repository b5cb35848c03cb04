"""The options that every command takes, declared once."""

import inspect
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from autosync_db.cli import completion, quick_help
from autosync_db.cli.console import Format, Session
from autosync_db.errors import UsageError

_GROUP = "Common options"


# what is often written as a shell variable
_NEVER_EMPTY = (
    "target", "database_url", "project_url", "project_ref", "service_role_key_file", "service_role_key_env",
    "cron_secret_file", "from_file", "from_env", "wait", "revision",
)  # fmt: skip
_COMMON: dict[str, tuple[Any, Any]] = {
    "target": (
        Annotated[
            str | None,
            typer.Option(
                help="Target of autosync.toml, `local`, `supabase`, `linked` or a remote.",
                rich_help_panel=_GROUP,
                autocompletion=completion.targets,
            ),
        ],
        None,
    ),
    "database_url": (
        Annotated[
            str | None,
            typer.Option(
                help="libpq URL or keyword string; else AUTOSYNC_DATABASE_URL, SUPABASE_DB_URL or DATABASE_URL.",
                show_default=False,
                rich_help_panel=_GROUP,
            ),
        ],
        None,
    ),
    "config": (
        Annotated[
            Path | None,
            typer.Option(
                help="Settings file, instead of the nearest autosync.toml.", metavar="FILE", rich_help_panel=_GROUP
            ),
        ],
        None,
    ),
    "format": (
        Annotated[Format, typer.Option(help="How data is printed.", rich_help_panel=_GROUP)],
        Format.TABLE,
    ),
    "timeout": (
        Annotated[
            str | None,
            typer.Option(
                help="How long the database may take over one statement, like 30s [default: 90s; to migrate 10m].",
                metavar="DURATION",
                show_default=False,
                rich_help_panel=_GROUP,
            ),
        ],
        None,
    ),
    "verbose": (
        Annotated[
            int,
            typer.Option(
                "-v",
                "--verbose",
                count=True,
                help="Say more; -vv adds tracebacks.",
                show_default=False,
                rich_help_panel=_GROUP,
            ),
        ],
        0,
    ),
    "quiet": (
        Annotated[bool, typer.Option("-q", "--quiet", help="Print data and errors only.", rich_help_panel=_GROUP)],
        False,
    ),
}

# of commands that speak of all jobs
Jobs = Annotated[
    list[str] | None,
    typer.Option(
        "--job",
        help="Only this job (repeatable); without it, all of autosync.toml.",
        metavar="NAME",
        autocompletion=completion.jobs,
    ),
]

# of commands that judge jobs
JudgedJobs = Annotated[
    list[str] | None,
    typer.Option("--job", help="Only this job (repeatable).", metavar="NAME", autocompletion=completion.jobs),
]


def group() -> typer.Typer:
    """Return the `app` of a module that has several commands; its line of help is in commands.py."""
    made = typer.Typer(cls=quick_help.Group, no_args_is_help=True, add_completion=False)
    # without a callback, Typer takes a single command for the whole app
    made.callback()(_nothing)
    return made


def _nothing() -> None: ...


def _require_values(given: dict[str, Any]) -> None:
    """Raise UsageError for an option whose value is lost, as where a shell variable that is not set stood."""
    for name in _NEVER_EMPTY:
        value = given.get(name)
        is_flag = isinstance(value, str) and re.fullmatch(r"--[a-z-]+", value)
        if value == "" or is_flag:
            is_argument = name == "revision"
            shown = "REVISION" if is_argument else "--" + name.replace("_", "-")
            taken = f" took {value} for its value" if is_flag else " is empty"
            quoted = '"$NAME"' if is_argument else f'{shown} "$NAME"'
            raise UsageError(f"{shown}{taken}", hint=f"is its variable not set? Write {quoted} with the quotes")


def command(app: typer.Typer, name: str | None = None, **settings: Any) -> Callable[[Callable[..., None]], None]:
    """Register a function whose first parameter is a `Session` as a command with the common options."""

    def register(function: Callable[..., None]) -> None:
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        ]
        names = {parameter.name for parameter in own}
        common = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for key, (annotation, default) in _COMMON.items()
            if key not in names
        ]

        @wraps(function)
        def run(**values: Any) -> None:
            shared = {key: values.pop(key, default) for key, (_, default) in _COMMON.items() if key not in names}
            shared.setdefault("format", Format.TABLE)
            _require_values(shared | values)
            function(Session(**shared), **values)

        run.__signature__ = inspect.Signature([*own, *common])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *common)}
        del run.__wrapped__
        app.command(name, cls=quick_help.Command, **settings)(run)

    return register
