"""What a failure mode is to this suite: a way to make it, what verify must say of it, and a way back."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from autosync_db.health.model import Status
from autosync_db.secret import Secret
from tests.support.health import Project

Action = Callable[[Project], object]


@dataclass(frozen=True, slots=True)
class Mode:
    """One failure mode of the field, by its letter in the catalogue of failures.

    `inject` breaks a healthy project. Then `names` is the worst root cause that verify finds, with `status` and `says`
    somewhere in its evidence, and `also` are the only other ones: faults of their own that the injection cannot do
    without. What is `repairable` is mended by `repair`, run as the owner or as `repaired_by`, anything else by `mend`;
    where there is neither, the project is thrown away. `tidy` takes back what was no fault.

    `role` is whom verify connects as, unless it goes to another `url`. With `watched`, verify watches pg_cron's process
    for seconds as it does outside of tests; with `probe` it may call the function. `simulated` says what of the
    evidence is not the real thing. `gone_with` is the version of pg_cron with which the fault ceased to exist.
    """

    id: str
    fault: str
    names: str
    inject: Action
    status: Status = Status.CRITICAL
    says: str = ""
    also: tuple[str, ...] = ()
    repairable: bool = False
    repaired_by: str = "postgres"
    mend: Action | None = None
    tidy: Action | None = None
    role: str = "postgres"
    url: Callable[[Project], Secret] | None = None
    watched: bool = False
    probe: bool = False
    simulated: str = ""
    gone_with: tuple[int, int] | None = None

    @property
    def is_critical(self) -> bool:
        """Whether verify must exit 3 for it."""
        return self.status is not Status.WARNING


def sql(*statements: str) -> Action:
    """Return what runs statements as the owner."""

    def act(project: Project) -> None:
        for statement in statements:
            project.owner.execute(statement.encode())

    return act


def admin(*statements: str) -> Action:
    """Return what runs statements as the superuser."""

    def act(project: Project) -> None:
        for statement in statements:
            project.admin.execute(statement.encode())

    return act


def steps(*actions: Action) -> Action:
    """Return what does one thing after the other."""

    def act(project: Project) -> None:
        for action in actions:
            action(project)

    return act


def tick(project: Project) -> None:
    """Let the job run as pg_cron would run it."""
    project.tick()


def failed_tick(project: Project) -> None:
    """Let the job run as pg_cron would run it, and make sure that it failed."""
    assert project.run_by_cron() == "failed"


def chosen(modes: Iterable[Mode], *ids: str) -> list[Mode]:
    """Return modes by their letters."""
    by_id = {mode.id: mode for mode in modes}
    return [by_id[id] for id in ids]
