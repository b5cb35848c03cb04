"""The command line: one module per group of commands; each parses, calls and prints.

Nothing heavy is imported before a command runs, so that help and completion stay quick.
"""

import os
import re
import signal
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from autosync_db import __version__
from autosync_db.errors import AutosyncError, ExitCode

INTERRUPTED = 130  # what shells report for SIGINT


class Reporting(TyperGroup):
    """A group that ends every failure in one `error:`, one `hint:` and its exit code."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and exit with the code that errors.ExitCode gives to the outcome."""
        from autosync_db.cli.console import Ending, Verbosity

        extra["standalone_mode"] = False
        Verbosity.level, Ending.unread = 0, 0
        try:
            code = super().main(*args, **extra)
            if code == INTERRUPTED:  # Typer turns SIGINT into this and says nothing
                raise KeyboardInterrupt
        except AutosyncError as error:
            code = _fail(error.message, error.hint, error.exit_code)
        except typer.TyperException as error:
            code = _usage(error)
        except (KeyboardInterrupt, typer.Abort):
            code = _fail("interrupted", "run it again: every command can be repeated", INTERRUPTED)
        except SystemExit as leaving:
            # Typer and Rich leave with 1 when the reader, e.g. head, has gone: it has what it wanted
            code = Ending.unread if isinstance(leaving.__context__, BrokenPipeError) else leaving.code
        except Exception as error:
            code = _fail(
                f"internal error ({type(error).__name__})",
                "run it again with -vv for the traceback and report it: this is a bug in autosync-db",
                ExitCode.BUG,
            )
        _flush()
        sys.exit(int(code) if isinstance(code, int) else ExitCode.OK)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # what is still buffered would be written, and complained about, when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: typer.TyperException) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        return ExitCode.USAGE  # the help has been printed already
    context = getattr(error, "ctx", None)
    # a database URL without its --database-url is quoted as an unexpected argument
    message = re.sub(r"postgres(ql)?://.*|\bpassword\s*=.*|[^\s(]*@.*", "***", error.format_message())
    message = message[:1].lower() + message[1:].rstrip(".")
    command = context.command_path if context is not None else "autosync-db"
    return _fail(message, f"see {command} --help", ExitCode.USAGE)


def _fail(message: str, hint: str, code: int) -> int:
    from autosync_db.cli.console import Talk, Verbosity
    from autosync_db.supabase.key import redact

    # what the user typed is quoted, and a key may be among it; a server's DETAIL may hold a whole row
    if Verbosity.level >= 2:
        sys.stderr.write(redact(traceback.format_exc()))
    console = Talk(stderr=True, highlight=False)
    console.print("[bold red]error:[/]", end=" ")
    console.print(_one_line(redact(message)), markup=False, soft_wrap=True)
    console.print("[bold cyan]hint:[/]", end=" ")
    console.print(_one_line(redact(hint)), markup=False, soft_wrap=True)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autosync-db {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Reporting,
    name="autosync-db",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


# each module registers its commands on the app above
from autosync_db.cli import (  # noqa: E402
    export,  # noqa: F401
    job,  # noqa: F401
    local,  # noqa: F401
    migrate,  # noqa: F401
    repair,  # noqa: F401
    scaffold,  # noqa: F401
    schedules,  # noqa: F401
    secret_scan,  # noqa: F401
    secrets,  # noqa: F401
    setup,  # noqa: F401
    verify,  # noqa: F401
    workflow,  # noqa: F401
)


def main() -> None:
    """Run the command line. A SIGTERM ends it as an interrupt does, so that what was begun is put back."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
