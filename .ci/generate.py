#!/usr/bin/env python
"""Write what is generated from the code; with --check, say what is behind the code, change nothing and exit 1.

Generated are whole pages of docs/reference, the functions in SQL and in TypeScript that know secrets by their
form, and in each page of docs/checks the sections Claim, Evidence and Depends on
and the remedy's code block. Everything else in those pages is written manually and kept.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import secret_patterns
import typer

from autosync_db import cli, config
from autosync_db.cli import quick_help
from autosync_db.cli.examples import EXAMPLES
from autosync_db.errors import ExitCode
from autosync_db.health import catalogue
from autosync_db.health.model import Check
from autosync_db.remedies import Kind, kind_of, template
from autosync_db.schema import revisions

ROOT = Path(__file__).parents[1]
COMMAND = "make generate"
CHECK_PAGES = "docs/checks"
NOTE = f"<!-- written by {COMMAND} -->"
MEANINGS = {
    ExitCode.OK: "done, or healthy",
    ExitCode.BUG: "a bug in autosync-db; or the output could not be written, as on a full disk",
    ExitCode.USAGE: "usage or settings; nothing was contacted or changed",
    ExitCode.CHECK_FAILED: "a check failed, or is unknown",
    ExitCode.UNREACHABLE: "the server cannot be reached, or refuses access",
    ExitCode.MIGRATION: (
        "a migration is pending (`--check`), was refused, or failed; or a rotation or another session's change is in"
        " the way: nothing was changed"
    ),
    ExitCode.SECRET: "a secret was refused; the old one is still active",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C or SIGTERM; the message says what is active",
}

# what the checks of each layer look at
LAYERS = {
    "server": "Whether the database can be reached, written to and trusted: everything else depends on it.",
    "cron": "Whether pg_cron is installed, its process runs and starts jobs: the same for every job.",
    "job": "Whether each job is scheduled as it should be, ticks, and its runs end well.",
    "net": "Whether pg_net is installed, its worker runs, and requests get out to the project's address.",
    "function": "Whether the function is there, is reached, accepts the credential, and answers well and in time.",
    "secrets": "Whether address and credential are stored, right, and those of this project.",
    "schedules": "Whether what is due in `public.auto_sync_schedules` is claimed, run and completed.",
    "security": "Whether roles can do what only the owner and the service role should, and keys in wrong places.",
    "retention": "Whether the tables that each tick writes to stay small.",
    "migrations": "Whether the schema and every object are those of this version.",
    "neighbours": "What other cron jobs and functions of the database do, and whether they interfere.",
}


def main() -> int:
    """Write or compare every generated file."""
    behind = []
    for name, text in generated():
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        behind.append(name)
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if behind and "--check" in sys.argv[1:]:
        sys.stderr.write(f"behind the code: {', '.join(behind)}\nwrite them with: {COMMAND}\n")
        return 1
    for name in behind:
        sys.stdout.write(f"wrote {name}\n")
    return 0


def generated() -> Iterator[tuple[str, str]]:
    """Yield the path and the whole text of every generated file."""
    yield "docs/reference/exit-codes.md", exit_codes()
    yield "docs/reference/environment.md", environment()
    yield "docs/reference/checks.md", checks()
    for layer in LAYERS:
        yield f"docs/reference/checks/{layer}.md", checks_of(layer)
    yield "docs/reference/commands.md", commands()
    yield "docs/reference/privileges.md", privileges()
    yield "sql/functions/autosync.holds_key.sql", secret_patterns.holds_key()
    yield "sql/functions/autosync.holds_credential.sql", secret_patterns.holds_credential()
    yield "sql/functions/autosync.mask_keys.sql", secret_patterns.mask_keys()
    yield "templates/functions/_shared/key_patterns.ts", secret_patterns.key_patterns()
    for id, check in catalogue.all_checks().items():
        name = f"{CHECK_PAGES}/{id}.md"
        yield name, check_page(id, check, (ROOT / name).read_text(encoding="utf-8"))


def privileges() -> str:
    """Return the page of what may be reached; a test tries each line, and everything that has none."""
    sys.path.insert(0, str(ROOT))
    from tests.schema.privileges import ALLOWED, ROLES

    rows = [(f"`{role}`", f"`{name}`", ways.replace(" ", ", "), why) for role, name, ways, why in ALLOWED]
    others = ", ".join(f"`{role}`" for role in ROLES if role not in {role for role, *_ in ALLOWED} | {"passer_by"})
    return page(
        "Privileges",
        "What roles other than the owner may access of the installed objects, in the isolation mode `none`; in other"
        " modes [API users see their own schedules](../guides/isolation.md). Tests try every object as each role, and"
        f" everything not listed here is denied: to {others}, to any role that may log in, and to PUBLIC.",
        table(("role", "object", "may", "why"), rows),
        "A restore into a project whose default privileges are open grants the API's roles more until the next"
        " `migrate`; row level security shows them no row even then, and `verify` says so:"
        " [secrets_table_protected](../checks/secrets_table_protected.md). What protects what:"
        " [the security model](../explanation/security-model.md).",
    )


def exit_codes() -> str:
    rows = [(str(int(code)), MEANINGS[code]) for code in ExitCode]
    return page(
        "Exit codes",
        table(("code", "meaning"), rows),
        "Every failure prints one `error:` and one `hint:` with the next step, on standard error. A check that could\n"
        "not run is `unknown`, which is not healthy: it exits 3 as well. A check of a service that no call needs\n"
        f"({', '.join(f'`{id}`' for id, check in catalogue.all_checks().items() if check.optional)}) is `unknown` while"
        " that service is down, and counts as a warning: it exits 3\n"
        "only with `--strict`. `verify --format nagios` has the codes of Nagios plugins instead: 0 ok, 1 warning,\n"
        "2 critical, 3 unknown.",
    )


def environment() -> str:
    rows = [(f"`{name}`", escaped(meaning)) for name, meaning in config.ENVIRONMENT.items()]
    order = "Flags override the environment, which overrides `autosync.toml`, which overrides the defaults."
    return page("Environment variables", order, table(("variable", "meaning"), rows))


def checks() -> str:
    rows = [
        (f"[{layer}](checks/{layer}.md)", f"[`{id}`](../checks/{id}.md)", escaped(check.claim), repaired(check))
        for layer in sorted(LAYERS)
        for id, check in checks_in(layer)
    ]
    text = f"{len(rows)} checks. `autosync-db explain ID` prints the page of one, `repair ID` applies its repair."
    jobs = (
        "A check of jobs judges each job: it has a row per job that it fails for, or one row without a job if it is\n"
        "ok for all. The jobs are those in autosync.toml; if it has none, all registered ones. `--job` chooses. A\n"
        "failure for a job can be explained by one for the same job or for none, never by one for another job."
    )
    return page("Checks", text, jobs, table(("layer", "check", "claim", "repair"), rows))


def checks_of(layer: str) -> str:
    rows = [
        (f"[`{id}`](../../checks/{id}.md)", escaped(check.claim), repaired(check)) for id, check in checks_in(layer)
    ]
    ways = f"`autosync-db verify --skip {layer}` skips these. All layers: [Checks](../checks.md)."
    return page(f"Checks: {layer}", LAYERS[layer], table(("check", "claim", "repair"), rows), ways)


def checks_in(layer: str) -> list[tuple[str, Check]]:
    return sorted((id, check) for id, check in catalogue.all_checks().items() if check.layer == layer)


def repaired(check: Check) -> str:
    return "yes" if check.repairable else ""


def commands() -> str:
    parts = []
    common: dict[str, str] = {}
    for path, command in walk(typer.main.get_command(cli.app), ("autosync-db",)):
        context = typer.Context(command, info_name=" ".join(path))
        quick_help.name_values(command, context)
        words, lines = list(path), []
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if record is None or "--help" in record[0]:
                continue
            name, meaning = record
            if parameter.param_type_name == "argument":
                name = (parameter.metavar or parameter.name).upper().strip("[].")
                words.append(name if parameter.required else f"[{name}]")
            line = f"- `{name}`: {escaped(meaning)}"
            if getattr(parameter, "rich_help_panel", None) == "Common options":
                common[name] = line
            else:
                lines.append(line)
        parts += [f"## {' '.join(path[1:])}", f"`{' '.join(words)}`\n\n{command.help.strip()}", "\n".join(lines)]
        shown = [
            f"autosync-db {typed}" + (f"  # {why}" if why else "") for typed, why in EXAMPLES.get(name_of(path), ())
        ]
        parts += ["```sh\n" + "\n".join(shown) + "\n```"] if shown else []
    every = "## Options of every command"
    top = "The [options of every command](#options-of-every-command) are listed once."
    return page("Commands", top, *parts, every, "\n".join(common.values()))


def name_of(path: Sequence[str]) -> str:
    """Return a command as examples know it: without the program's name."""
    return " ".join(path[1:])


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with the words that call it, in the order of the help."""
    command = getattr(command, "loaded", command)
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    context = typer.Context(command, info_name=path[-1])
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        if found is not None and not found.hidden:
            yield from walk(getattr(found, "loaded", found), (*path, name))


def check_page(id: str, check: Check, before: str) -> str:
    """Return a check's page with its generated parts as the code has them; the rest stays as it was."""
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", before, re.MULTILINE | re.DOTALL))
    sections = {name: body.strip() for name, body in sections.items()}
    claim = check.claim[:1].upper() + check.claim[1:] + "."
    evidence = sections.get("Evidence", "")
    if check.has_query:
        file = f"[sql/checks/{id}.sql](../../sql/checks/{id}.sql)"
        evidence = f"{file}{ASKED[check.scope]}."
        if "autosync.head" in catalogue.query(id):
            evidence = f"{file}, run after `set autosync.head = '{revisions.head()}';`"
        evidence += " No row is healthy; a row with `ok` only informs."
    written = re.sub(
        r"\A```\w+\n.*?\n```\n*(?:\| finding .*?\n\n|\| finding .*\Z)?",
        "",
        sections.get("Remedy", ""),
        count=1,
        flags=re.DOTALL,
    )
    assert check.remedy
    language = "sql" if kind_of(check.remedy) is Kind.SQL else "sh"
    remedy = "\n\n".join(filter(None, [f"```{language}\n{template(check.remedy)}\n```", others(check), written]))
    composed = {"Claim": claim, "Evidence": evidence, "Remedy": remedy, "Depends on": depends(check)}
    order = ["Claim", *(name for name in sections if name not in composed), "Evidence", "Remedy", "Depends on"]
    order.sort(key=lambda name: PLACES.get(name, PLACES["Evidence"] - 1))
    bodies = {**sections, **composed}
    return f"# {id}\n\n" + "\n\n".join(f"## {name}\n\n{bodies[name]}" for name in order if bodies[name]) + "\n"


def others(check: Check) -> str:
    """Return the remedies that fit some findings alone."""
    if not check.remedies:
        return ""
    rows = [(f"`{reason}`", f"`{template(remedy)}`".replace("|", "\\|")) for reason, remedy in check.remedies.items()]
    return table(("finding", "remedy"), rows)


ASKED = {
    "database": "",
    "job": ", asked for each job",
    "scheduled": ", asked for each job but those that are only watched",
    "call": ", asked for each job that makes calls",
    "function": ", asked for each job that calls a function of the project",
    "draining": ", asked for each job that drains schedules",
}
PLACES = {name: 10 * place for place, name in enumerate(
    ("Claim", "Why it matters", "How it looks", "Evidence", "Remedy", "False positives", "Depends on", "Source")
)}  # fmt: skip


def depends(check: Check) -> str:
    """Return the check's edges in the causal graph as sentences."""
    edges = (("Explained by a failure of", (*check.causes, *check.overlaps)), ("Cannot run without", check.needs))
    return " ".join(
        f"{words} {', '.join(f'[`{id}`]({id}.md)' for id in sorted(set(ids)))}." for words, ids in edges if ids
    )


def page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", NOTE, *filter(None, parts))) + "\n"


def table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (headers, tuple("---" for _ in headers), *rows))


def escaped(text: str) -> str:
    """Return text for a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("\\[", "[").replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.exit(main())
