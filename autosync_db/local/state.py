"""What is remembered of a local stack from one command to the next, in files of its folder."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from autosync_db.errors import UsageError
from autosync_db.local import engine
from autosync_db.local.process import Process

KeyKind = Literal["legacy", "secret"]
EngineKind = Literal["system", "docker", "podman"]


@dataclass(slots=True)
class State:
    """The parts of a stack; no secret is in it."""

    port: int
    major: int
    stand_in: bool
    edge_port: int
    functions: str
    key_kind: KeyKind
    processes: dict[str, Process] = field(default_factory=dict)

    def runs(self, name: str) -> bool:
        """Return whether the process of a part runs."""
        found = self.processes.get(name)
        return found is not None and found.is_running()


@dataclass(frozen=True, slots=True)
class InContainer:
    """The container that the database runs in; written before anything is created."""

    program: engine.Program
    name: str
    image: str | None

    def __str__(self) -> str:
        return f"{self.program} with {self.image or 'its own image'}"


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the stack as it is now."""

    name: str
    running: bool
    detail: str


def exists(folder: Path) -> bool:
    """Return whether a stack was ever started in `folder`."""
    return _state_file(folder).exists()


def load(folder: Path) -> State:
    """Return the state of the stack in `folder`. Raises UsageError when there is none, or its file is damaged."""
    try:
        values: dict[str, Any] = json.loads(_state_file(folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise no_stack() from None
    except ValueError:
        raise damaged(folder) from None
    try:
        values["processes"] = {name: Process(**found) for name, found in values["processes"].items()}
        return State(**values)
    except (KeyError, TypeError, AttributeError):
        raise damaged(folder) from None


def save(folder: Path, state: State) -> None:
    """Replace the state of the stack in `folder`."""
    write_private(_state_file(folder), json.dumps(asdict(state), indent=2))


def load_container(folder: Path) -> InContainer | None:
    """Return which container the database is in, None where it is in none. Raises UsageError on a damaged file."""
    try:
        return InContainer(**json.loads(container_file(folder).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError):
        raise damaged(folder) from None


def save_container(folder: Path, inside: InContainer) -> None:
    """Write down which container the database is in."""
    write_private(container_file(folder), json.dumps(asdict(inside)))


def container_file(folder: Path) -> Path:
    """Return the file of load_container()."""
    return folder / "container.json"


def no_stack() -> UsageError:
    """Return the error for a folder without a stack."""
    return UsageError("there is no local stack here", hint="start one with: autosync-db local up")


def damaged(folder: Path) -> UsageError:
    """Return the error for a state that cannot be read."""
    file = _state_file(folder)
    return UsageError(f"{file} is damaged", hint=f"rm {file}, then: autosync-db local up")


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner alone."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def _state_file(folder: Path) -> Path:
    return folder / "state.json"
