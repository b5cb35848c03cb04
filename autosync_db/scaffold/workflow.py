"""What runs in CI, written from the settings that it is to run with: their targets, variables, schedule and place."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from autosync_db import __version__, cron, resources, user_files
from autosync_db.config import LOCAL_TARGET, STACK_TARGET, Settings, TargetSettings
from autosync_db.config.target import DATABASE_VARIABLES, LINKED_TARGET, is_name, no_target
from autosync_db.errors import UsageError
from autosync_db.scaffold import names
from autosync_db.scaffold.files import write
from autosync_db.supabase import folder as supabase

Kind = Literal["github", "shell"]

# the default path of each kind of file, below the top of the repository and below the current folder
PATHS: Mapping[Kind, Path] = {"github": Path(".github/workflows/autosync-db.yml"), "shell": Path("ci/autosync-db.sh")}
_KEY = "SUPABASE_SERVICE_ROLE_KEY"
# what may stand in both kinds of file without being read as anything else
_BRANCH = r"[A-Za-z0-9._/*-]+"
_PLACE = r"[A-Za-z0-9._/@+-][A-Za-z0-9._/@+ -]*"
# the longest time between two ticks for which a push waits
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Access:
    """How CI comes at one target's database.

    `variable` is what the commands read, `secret` what the CI system keeps its value under; `key` is the secret with
    the service key, which the first set-up needs. `suffix` tells the jobs of several targets apart.
    """

    target: str | None
    variable: str
    secret: str
    key: str | None
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Workflow:
    """A file for a CI system and what it was written for; `is_written` is False when the very same was there."""

    path: Path
    accesses: tuple[Access, ...]
    is_written: bool


def accesses(settings: Settings, target: str | None, secret: str | None) -> tuple[Access, ...]:
    """Return how CI comes at the target, at all targets of the settings, or at the one database where none is named.

    `secret` is the name of the CI system's secret where it is not that of the variable. Raises UsageError for a target
    that CI cannot have, and for a name that cannot stand in a file of CI.
    """
    chosen: list[tuple[str | None, TargetSettings]] = [*settings.targets.items()]
    if target is not None:
        chosen = [(target, settings.targets.get(target) or _outside_of_the_file(target, settings))]
    if secret is not None and len(chosen) > 1:
        raise UsageError(
            f"--secret {secret} would be that of {len(chosen)} targets", hint="choose one of them with --target NAME"
        )
    calls_with_key = any(job.sends_service_key for job in settings.jobs.values())
    first = next(iter(settings.targets), None)
    found: list[Access] = []
    endings: set[str] = set()
    for name, one in chosen or [(None, TargetSettings())]:
        own = "" if name in {None, first} else names.unused("_" + re.sub(r"\W", "_", name or "").upper(), endings)
        endings.add(own)
        variable = one.database_url_env or (
            # a target that says its address says it without the password
            "PGPASSWORD" if one.database_url else DATABASE_VARIABLES[0]
        )
        usual = variable if one.database_url_env else variable + own
        taken = {access.suffix for access in found}
        suffix = "" if len(chosen) < 2 else names.unused("-" + re.sub(r"[^A-Za-z0-9_-]", "_", name or ""), taken)
        found.append(Access(name, variable, secret or usual.upper(), _KEY + own if calls_with_key else None, suffix))
    for access in found:
        _check("--target", access.target or "none", names.TARGET)
        _check("the variable", access.variable, names.VARIABLE)
        _check("--secret", access.secret, names.VARIABLE)
        if access.secret.upper().startswith("GITHUB_"):
            raise UsageError(
                f"GitHub does not allow a secret named {access.secret}", hint="name another one with --secret NAME"
            )
    return tuple(found)


def _outside_of_the_file(target: str, settings: Settings) -> TargetSettings:
    """Return what is known of a target that the settings file does not name."""
    found = supabase.find(Path.cwd())
    remotes = supabase.remotes(found) if found else {}
    if target in remotes:
        return TargetSettings(project_ref=remotes[target])
    if target == LINKED_TARGET:
        raise UsageError(
            "the target linked is known only on this machine: the link is not part of the repository",
            hint="write it into autosync.toml with: autosync-db init",
        )
    if target in {LOCAL_TARGET, STACK_TARGET}:
        raise UsageError(
            f"the target {target} is a database of this machine, which CI does not reach",
            hint="choose another target, with --target NAME",
        )
    known = ", ".join(sorted({*settings.targets, *remotes}))
    raise UsageError(
        no_target(target, {*settings.targets, *remotes}),
        hint=f"known targets: {known}"
        if known
        else f"add a [targets.{target if is_name(target) else 'NAME'}] table to autosync.toml",
    )


def write_workflow(
    kind: Kind,
    settings: Settings,
    source: Path | None,
    *,
    path: Path | None = None,
    branch: str = "main",
    target: str | None = None,
    secret: str | None = None,
    force: bool = False,
) -> Workflow:
    """Write what runs in CI for settings that were read from `source`, to be run in the folder that is current now.

    Raises UsageError when a value cannot stand in such a file, when CI would not have the settings file, or when
    another file is there and not `force`.
    """
    found = accesses(settings, target, secret)
    if kind == "shell" and len(found) > 1:
        targets = ", ".join(str(access.target) for access in found)
        raise UsageError(f"a script is for one target, and the settings have {targets}", hint="pass --target NAME")
    _check("--branch", branch, _BRANCH)
    here, top = Path.cwd(), _top()
    chosen = path or (Path(os.path.relpath(top / PATHS[kind], here)) if kind == "github" else PATHS[kind])
    if kind == "shell":  # it says its own name
        _check("--path", chosen.as_posix(), _PLACE)
    text = resources.render(
        f"templates/workflows/{kind}{PATHS[kind].suffix}.j2",
        script=chosen.as_posix(),
        branch=branch,
        accesses=found,
        config=_config(source, here, top),
        folder=_inside(here, top, "the current folder"),
        back=Path(os.path.relpath(here, here / chosen.parent)).as_posix(),
        wait=_wait(settings),
        version=__version__,
    )
    written = write({chosen: text.encode()}, "--path", force=force)
    if written and kind == "shell":
        with user_files.refusals():
            chosen.chmod(chosen.stat().st_mode | 0o111)
    return Workflow(chosen, found, bool(written))


def _top() -> Path:
    """Return the top of the repository, where CI begins: the nearest folder with .git, else the current one."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _config(source: Path | None, here: Path, top: Path) -> str | None:
    """Return the settings file as CI must name it, None where it is found there as it is here."""
    if source is None:
        return None
    whole = (here / source).absolute()
    _inside(whole, top, "the settings file")
    folders: Sequence[Path] = (here, *here.parents)
    nearest = next((one for folder in folders if (one := folder / "autosync.toml").exists()), None)
    return None if whole == nearest else Path(os.path.relpath(whole, here)).as_posix()


def _inside(path: Path, top: Path, what: str) -> str | None:
    """Return a path below the top of the repository, None for the top itself. Raises UsageError for any other."""
    try:
        inside = path.relative_to(top).as_posix()
    except ValueError:
        raise UsageError(
            f"{what} is outside of the repository {top.name}, so that CI does not have it",
            hint="put it into the repository, and pass --config PATH",
        ) from None
    return None if inside == "." else _check(what, inside, _PLACE)


def _wait(settings: Settings) -> str | None:
    """Return how long a tick of the main job may be waited for, None where that would take too long."""
    job = settings.main
    ticks: Iterator[datetime] = iter(cron.ticks_after(job.schedule, datetime.now(UTC)) if job.schedule else ())
    first, second = next(ticks, None), next(ticks, None)
    if not job.enabled or not first or not second or second - first > _PATIENCE:
        return None
    return f"{max(10, int((second - first).total_seconds()) // 60 + 5)}m"


def _check(name: str, value: str, pattern: str) -> str:
    return names.check(name, value, pattern, file="a CI file")
