"""The root of the command line: it loads a command when it is used, and ends every failure in the same way."""

import importlib
import os
import re
import sys
import traceback
from functools import cached_property
from pathlib import Path
from typing import Any

import typer
from typer.core import HAS_RICH

from autosync_db.cli import quick_help
from autosync_db.cli.commands import ALIASES, COMMANDS
from autosync_db.cli.ending import Run
from autosync_db.cli.examples import EXAMPLES
from autosync_db.errors import AutosyncError, ExitCode, OutputError, closest
from autosync_db.patience import Timeout
from autosync_db.remedies import ANYWHERE, PROGRAM


class Deferred(quick_help.Command):
    """A command that is listed by its line of help; its module, of the same name, is imported when it is used."""

    def __init__(self, name: str, line: str, section: str) -> None:
        super().__init__(name, help=line, rich_help_panel=section)
        self._line = line

    @cached_property
    def loaded(self) -> Any:
        """Return the command, or the group of commands, that the module defines as `app`."""
        found = typer.main.get_command(importlib.import_module(f"autosync_db.cli.{self.name}").app)
        found.help = found.help or self._line
        return found

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """Hand over to the command itself."""
        _show_as_written(self.loaded, self.name or "")
        return self.loaded.make_context(*arguments, **extra)


class Root(quick_help.Group):
    """The group of all commands; every failure ends in one `error:`, one `hint:` and its exit code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for section, lines in COMMANDS.items():
            self.commands.update({name: Deferred(name, line, section) for name, line in lines.items()})

    def get_command(self, context: Any, name: str) -> Any:
        """Return a command by its name, or by another word for it."""
        return super().get_command(context, ALIASES.get(name, name))

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """Begin a run of the command line."""
        _show_as_written(self, "")
        return super().make_context(*arguments, **extra)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line and exit with the code that errors.ExitCode gives to the outcome."""
        Run.verbosity, Run.code_if_unread, Run.is_plugin, Run.aim = 0, 0, False, ANYWHERE
        extra["standalone_mode"] = False
        try:
            code = super().main(*args, **extra)
            if code == ExitCode.INTERRUPTED:  # Typer turns SIGINT into this and says nothing
                raise KeyboardInterrupt
        except AutosyncError as error:
            code = _fail(error.message, Run.aim.at(error.hint), error.exit_code)
        except typer.TyperException as error:
            code = _usage(error)
        except (KeyboardInterrupt, typer.Abort):
            code = _fail("interrupted", "run it again: every command can be repeated", ExitCode.INTERRUPTED)
        except SystemExit as leaving:
            # Typer and Rich leave with 1 when nobody reads stdout any more
            code = Run.code_if_unread if isinstance(leaving.__context__, BrokenPipeError) else leaving.code
        except Exception as error:
            code = _unforeseen(error)
        code = _flush(code)
        Timeout.seconds = None
        sys.exit(int(code) if isinstance(code, int) else ExitCode.OK)


def _unforeseen(error: Exception) -> int:
    try:
        Path.cwd()
    except FileNotFoundError:
        return _fail(
            "the current folder does not exist any more",
            "go to a folder that does; to one that was made again under the same name: cd .",
            ExitCode.USAGE,
        )
    return _fail(
        f"internal error ({type(error).__name__})",
        "run it again with -vv for the traceback and report it: this is a bug in autosync-db",
        ExitCode.BUG,
    )


def _shown(text: str | None) -> str | None:
    """Return a help text such that it is shown as it is written, in lines of the terminal's width."""
    if not text:
        return text
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
    return _escaped(text)


def _escaped(text: str) -> str:
    # Rich takes [word] for a style and leaves it out; Typer cannot switch that off without losing its panels
    return re.sub(r"\[[a-z#/@][^[]*?]", r"\\\g<0>", text) if HAS_RICH else text


def _show_as_written(command: Any, path: str) -> None:
    """Have the help of a command, and of those below it, shown as it is written, with its examples at the end."""
    for part in (command, *command.params):
        part.help = _shown(part.help)
    command.epilog = _examples(path)
    for name, inner in getattr(command, "commands", {}).items():
        if not isinstance(inner, Deferred):
            _show_as_written(inner, f"{path} {name}".strip())
        else:
            inner.help = _shown(inner.help)


def _examples(path: str) -> str | None:
    """Return the examples of a command, the last part of its help: each in a line of its own, to be copied."""
    found = EXAMPLES.get(path, ())
    if not found:
        return None
    lines = [
        f"  [bold cyan]{PROGRAM} {_escaped(typed)}[/]" + (f"\n      {_escaped(why)}" if why else "")
        for typed, why in found
    ]
    return "[bold]Examples[/]\n" + "\n".join(lines)


def _flush(code: Any) -> Any:
    """Write what is still buffered, and return the exit code: `code`, or that this could not be written."""
    try:
        sys.stdout.flush()
    except OutputError as error:
        return _fail(error.message, error.hint, error.exit_code)
    except BrokenPipeError:
        # what is still buffered would be written, and complained about, when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _usage(error: typer.TyperException) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        return ExitCode.USAGE  # the help has been printed already
    context = getattr(error, "ctx", None)
    # a database URL without its --database-url is quoted as an unexpected argument
    message = re.sub(r"postgres(ql)?://.*|\bpassword\s*=.*|[^\s(]*@.*", "***", _without_guess(error))
    message = message[:1].lower() + message[1:].rstrip(".")
    near = _closest(error)
    command = context.command_path if context is not None else PROGRAM
    return _fail(message + (f"; did you mean {near}?" if near else ""), f"see {command} --help", ExitCode.USAGE)


def _without_guess(error: typer.TyperException) -> str:
    """Return what is wrong, without Typer's own guess, which has another form for each kind."""
    if hasattr(error, "option_name"):
        return error.message
    text = error.format_message().partition(" Did you mean ")[0]
    return text.replace("Value error, ", "")


def _closest(error: typer.TyperException) -> str | None:
    """Return the option, the command or the value that is closest to what was typed, None where none is close."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return None
    if option := getattr(error, "option_name", None):
        return closest(
            str(option), [name for one in context.command.params for name in (*one.opts, *one.secondary_opts)]
        )
    typed = re.search(r"'([^']*)'", error.message)
    if typed is None:
        return None
    if parameter := getattr(error, "param", None):
        return closest(typed[1], _choices(parameter))
    commands = getattr(context.command, "commands", {})
    return closest(typed[1], [*commands, *ALIASES]) or _below(commands, typed[1])


def _choices(parameter: Any) -> list[str]:
    """Return the values that an option takes, none where it takes any."""
    found = getattr(getattr(parameter, "type_descriptor", None), "choices", None)
    return [str(getattr(one, "value", one)) for one in found or ()]


def _below(commands: Any, typed: str) -> str | None:
    """Return a command of a group that was typed without its group."""
    for name, command in commands.items():
        if typed in getattr(getattr(command, "loaded", command), "commands", {}):
            return f"{name} {typed}"
    return None


def _fail(message: str, hint: str, code: int) -> int:
    from rich.text import Text

    from autosync_db.cli.screens import Talk
    from autosync_db.report import lines
    from autosync_db.supabase.key import redact

    # what the user typed is quoted, and a key may be among it; a server's DETAIL may hold a whole row
    if Run.verbosity >= 2:
        sys.stderr.write(redact(traceback.format_exc()))
    console = Talk(stderr=True, highlight=False)
    lines.say(Text.assemble(("error:", "bold red"), f" {_one_line(redact(message))}"), console)
    lines.say(Text.assemble(("hint:", "bold cyan"), f" {_one_line(redact(hint))}"), console)
    if Run.is_plugin:
        from autosync_db.health.model import Status
        from autosync_db.report import as_nagios

        sys.stdout.write(as_nagios.unknown(redact(message), redact(hint)))
        return as_nagios.EXIT_CODES[Status.UNKNOWN]
    return code


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
