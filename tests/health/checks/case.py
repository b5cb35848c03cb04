"""What a check is shown, and what it must say of it."""

from collections.abc import Callable
from dataclasses import dataclass

from autosync_db.health import catalogue
from autosync_db.health.model import Status
from tests.health.actions import Action
from tests.support import health
from tests.support.health import Project
from tests.support.trial import Trial


@dataclass(frozen=True, slots=True)
class Case:
    """A state of the healthy project, and the verdict of one check on it.

    `says` is somewhere in the summary or the evidence, `hides` nowhere in the result; both may depend on the project.
    The failure explains that of the checks in `explains`, and is itself explained by those in `blocked_by`. The repair,
    run as `repaired_by`, makes it healthy; afterwards `then` looks at the project. `reason` is which remedy is printed.
    """

    what: str
    acts: tuple[Action[Project], ...]
    status: Status
    says: str | Callable[[Project], str] = ""
    hides: str | Callable[[Project], str] = ""
    role: str = "postgres"
    explains: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()
    repaired_by: str = ""
    then: Action[Project] | None = None
    reason: str = ""

    def try_on(self, project: Trial, id: str) -> None:
        """Bring the project into the state, let the check look, and repair what can be repaired."""
        for act in self.acts:
            act(project)
        # nothing explains what is healthy
        rest = set(catalogue.all_checks()) - {id} if self.status is Status.OK else ()
        report = project.report([id, *self.explains], self.role, skip=rest)
        result = health.result_of(report, id)
        text = f"{result.verdict.summary} | {health.evidence(result.verdict)}"
        assert result.verdict.status is self.status, text
        assert _of(self.says, project) in text, text
        hidden = _of(self.hides, project)
        assert not hidden or hidden not in str(result), text
        assert not self.reason or result.reason == self.reason, result.reason
        assert set(result.blocked_by) == set(self.blocked_by), result.blocked_by
        for explained in self.explains:
            assert health.result_of(report, explained).blocked_by == (id,), health.described(report)
        if self.repaired_by:
            project.repair(id, role=self.repaired_by)
        if self.then:
            self.then(project)


def _of(text: str | Callable[[Project], str], project: Project) -> str:
    return text if isinstance(text, str) else text(project)


def fine(what: str, *acts: Action[Project], says: str = "", role: str = "postgres") -> Case:
    """Return a state that is no fault."""
    return Case(what, acts, Status.OK, says, role=role)


def unseen(
    what: str, *acts: Action[Project], says: str = "", blocked_by: tuple[str, ...] = (), role: str = "postgres"
) -> Case:
    """Return a state in which the check cannot look and must say so; `blocked_by` is what explains that."""
    return Case(what, acts, Status.UNKNOWN, says, role=role, blocked_by=blocked_by)


def warned(
    what: str,
    *acts: Action[Project],
    says: str,
    hides: str | Callable[[Project], str] = "",
    role: str = "postgres",
    blocked_by: tuple[str, ...] = (),
    repaired_by: str = "",
    then: Action[Project] | None = None,
) -> Case:
    """Return a state that deserves a warning."""
    return Case(what, acts, Status.WARNING, says, hides, role, (), blocked_by, repaired_by, then)


def failed(
    what: str,
    *acts: Action[Project],
    says: str | Callable[[Project], str],
    hides: str | Callable[[Project], str] = "",
    role: str = "postgres",
    explains: tuple[str, ...] = (),
    blocked_by: tuple[str, ...] = (),
    repaired_by: str = "",
    then: Action[Project] | None = None,
    reason: str = "",
) -> Case:
    """Return a state that is critical."""
    return Case(what, acts, Status.CRITICAL, says, hides, role, explains, blocked_by, repaired_by, then, reason)
