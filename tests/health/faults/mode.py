"""What a failure mode is to this suite: a way to make it, what verify must say of it, and a way back."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic

from autosync_db.health import catalogue
from autosync_db.health.model import Status
from autosync_db.remedies import Kind, kind_of
from autosync_db.secret import Secret
from tests.health.actions import Action, P
from tests.support.health import LiveProject, Project


@dataclass(frozen=True)
class Fault(Generic[P]):
    """A fault, by its letter in the catalogue of failures; one without a letter has an id in words.

    `inject` breaks a healthy project. Then `names` is the worst root cause that verify finds, with `status` and `says`
    somewhere in its evidence, and `also` are the only other ones: faults of their own that the injection cannot do
    without. `reason` is which of the check's remedies it prints. What is `repairable` is repaired by what it prints, as
    the owner or as `repaired_by`, and needs consent if it is `destructive`; anything else is put right by `undo`.

    `role` is whom verify connects as. With `probe` it may call the function. `simulated` says what of the evidence is
    not the real thing. `gone_with` is the version of pg_cron with which the fault ceased to exist. A `long` one is left
    out of the run of every push, and one that is `stand_in_only` where the real pg_net is.
    """

    id: str
    fault: str
    names: str
    inject: Action[P]
    status: Status = Status.CRITICAL
    says: str = ""
    also: tuple[str, ...] = ()
    reason: str = ""
    repairable: bool = False
    repaired_by: str = "postgres"
    destructive: bool | None = None
    undo: Action[P] | None = None
    role: str = "postgres"
    probe: bool = False
    simulated: str = ""
    gone_with: tuple[int, int] | None = None
    long: bool = False
    stand_in_only: bool = False

    @property
    def is_critical(self) -> bool:
        """Whether verify must exit 3 for it."""
        return self.status is not Status.WARNING

    @property
    def proves(self) -> str:
        """The reason whose remedy repairs it: whoever repairs may be printed another one than whoever verifies."""
        remedy = catalogue.find(self.names).remedies.get(self.reason)
        return "" if remedy is None or kind_of(remedy) is Kind.BY_YOU else self.reason


@dataclass(frozen=True)
class Mode(Fault[Project]):
    """A fault that is made, looked at and repaired in a transaction that is rolled back."""


@dataclass(frozen=True)
class ServerMode(Fault[LiveProject]):
    """A fault of a server and its processes, or of what goes over the network.

    `tidy` takes back what was no fault. Verify connects to another `url` where there is one. With `watched`, it watches
    pg_cron's process for seconds as it does outside of tests.
    """

    tidy: Action[LiveProject] | None = None
    url: Callable[[LiveProject], Secret] | None = None
    watched: bool = False


AnyMode = Mode | ServerMode


def chosen(modes: Iterable[AnyMode], *ids: str) -> list[AnyMode]:
    """Return modes by their letters."""
    by_id = {mode.id: mode for mode in modes}
    return [by_id[id] for id in ids]
