"""What GitHub does with a workflow for one event, as far as ours use it: conditions, jobs in order, environment, steps.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TEXT = r"'(?:[^']|'')*'"
_NAME = r"[a-z_]+(?:\.[A-Za-z0-9_-]+)+"
_TOKEN = re.compile(rf"\s*({_TEXT}|{_NAME}|[a-zA-Z_]+\(\)|&&|\|\||==|!=|!|\(|\))")
_WORDS = {"&&": " and ", "||": " or ", "!": " not ", "==": "==", "!=": "!=", "(": "(", ")": ")"}
_STATES = ("cancelled()", "always()", "failure()", "success()")
CHECKOUT, UPLOAD = "actions/checkout@", "github/codeql-action/upload-sarif@"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened in a repository."""

    name: str
    schedule: str | None = None
    is_of_a_fork: bool = False

    @property
    def context(self) -> dict[str, Any]:
        """Return what expressions see as `github`."""
        repository = "ours/sync"
        event: dict[str, Any] = {"schedule": self.schedule}
        if self.name == "pull_request":
            head = "somebody/sync" if self.is_of_a_fork else repository
            event["pull_request"] = {"head": {"repo": {"full_name": head}}}
        return {
            "event_name": self.name, "event": event, "repository": repository, "ref": "refs/heads/a-branch",
            "server_url": "https://github.com", "run_id": "7", "token": "a-token",
        }  # fmt: skip


@dataclass
class Step:
    """A step that was run."""

    name: str
    code: int
    log: str


@dataclass
class Job:
    """What became of a job, and its steps' outputs by their ids."""

    result: str
    steps: list[Step] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def log(self) -> str:
        """Return all that the job printed."""
        return "".join(step.log for step in self.steps)


@dataclass
class Machine:
    """A repository and GitHub's machine for it."""

    repository: Path
    programs: Path
    temporary: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    uploads: list[dict[str, Any]] = field(default_factory=list)

    def run(self, workflow: dict[str, Any], event: Event) -> dict[str, Job]:
        """Run the jobs of a workflow that an event asks for, and return what became of each."""
        done: dict[str, Job] = {}
        waiting = dict(workflow["jobs"])
        while waiting:
            name = next(one for one, job in waiting.items() if needs(job) <= done.keys())
            done[name] = self._job(workflow, waiting.pop(name), event, done)
        return done

    def _job(self, workflow: dict[str, Any], job: dict[str, Any], event: Event, done: dict[str, Job]) -> Job:
        context: dict[str, Any] = {
            "github": event.context | {"workspace": str(self.repository)},
            "needs": {name: {"result": done[name].result, "outputs": done[name].outputs} for name in needs(job)},
            "runner": {"temp": str(self.temporary)},
            "secrets": {} if event.is_of_a_fork else self.secrets,
            "steps": {},
        }
        is_well = all(done[name].result == "success" for name in needs(job))
        if not met(job.get("if"), context, is_well=is_well):
            return Job("skipped")
        made = Job("success")
        folder = workflow.get("defaults", {}).get("run", {}).get("working-directory", ".")
        for step in job["steps"]:
            if not met(step.get("if"), context, is_well=made.result == "success"):
                continue
            ran, outputs = self._step(step, context, [workflow.get("env", {}), job.get("env", {})], folder, made)
            made.steps.append(ran)
            context["steps"][step.get("id")] = {"outputs": outputs}
            if ran.code != 0 and not step.get("continue-on-error"):
                made.result = "failure"
        made.outputs = {name: filled(text, context) for name, text in job.get("outputs", {}).items()}
        return made

    def run_action(
        self, action: dict[str, Any], inputs: Mapping[str, str], variables: Mapping[str, str], path: Path
    ) -> Job:
        """Run the steps of a composite action that lies in `path`, in a step that has these variables."""
        given = {name: str(one.get("default", "")) for name, one in action["inputs"].items()} | dict(inputs)
        context: dict[str, Any] = {"inputs": given, "steps": {}, "github": {}}
        made = Job("success")
        own = {"GITHUB_ACTION_PATH": str(path), "RUNNER_OS": "Linux"}
        for step in action["runs"]["steps"]:
            if not met(step.get("if"), context, is_well=made.result == "success"):
                continue
            ran, outputs = self._step(step, context, [dict(variables), own], ".", made)
            made.steps.append(ran)
            context["steps"][step.get("id")] = {"outputs": outputs}
            made.result = "failure" if ran.code else made.result
        made.outputs = {name: filled(one["value"], context) for name, one in action.get("outputs", {}).items()}
        return made

    def _step(
        self, step: dict[str, Any], context: dict[str, Any], variables: list[dict[str, str]], folder: str, job: Job
    ) -> tuple[Step, dict[str, str]]:
        name = step.get("name", step.get("uses", ""))
        if (action := step.get("uses", "")).startswith(CHECKOUT):
            return Step(name, 0, ""), {}
        if action.startswith(UPLOAD):
            return self._upload(name, {key: filled(text, context) for key, text in step["with"].items()}), {}
        assert not action, f"unknown here: {action}"
        summary, outputs = self.temporary / "summary", self.temporary / "outputs"
        for path in (summary, outputs):
            path.write_text("")
        given = {key: filled(text, context) for one in (*variables, step.get("env", {})) for key, text in one.items()}
        script = self.temporary / "script.sh"
        script.write_text(filled(step["run"], context))
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.repository / filled(step.get("working-directory", folder), context),
            env={
                "PATH": f"{self.programs}:{os.environ['PATH']}", "HOME": str(self.temporary), "CI": "true",
                "RUNNER_TEMP": str(self.temporary), "GITHUB_WORKSPACE": str(self.repository),
                "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs), **given,
            },
            check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180,
        )  # fmt: skip
        job.summary += summary.read_text()
        return Step(name, ran.returncode, ran.stdout), _outputs(outputs.read_text())

    def _upload(self, name: str, given: dict[str, str]) -> Step:
        """Take a file as code scanning does: whole, or with a reason why not."""
        found = json.loads(Path(given["sarif_file"]).read_text())
        for run in found["runs"]:
            for result in run["results"]:
                # a single place without a file, and the whole upload is refused
                if not all("physicalLocation" in place for place in result["locations"]) or not result["locations"]:
                    return Step(name, 1, "expected a physical location")
        self.uploads.append(found)
        return Step(name, 0, "")


def needs(job: dict[str, Any]) -> set[str]:
    """Return the names of the jobs that a job waits for."""
    named = job.get("needs", [])
    return {named} if isinstance(named, str) else set(named)


def met(condition: str | None, context: dict[str, Any], *, is_well: bool) -> bool:
    """Return whether a job or a step is to run; one whose condition asks for no state runs where all went well."""
    text = (condition or "success()").strip().removeprefix("${{").removesuffix("}}")
    if not any(state in text for state in _STATES):
        text = f"success() && ({text})"
    return bool(value(text, context, is_well=is_well))


def filled(text: object, context: dict[str, Any]) -> str:
    """Return a text with its expressions replaced by their values."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(value(found[1], context) or ""), str(text))


def value(expression: str, context: dict[str, Any], *, is_well: bool = True) -> Any:
    """Return the value of an expression."""
    functions = {"cancelled()": False, "always()": True, "failure()": not is_well, "success()": is_well}
    parts, position = [], 0
    expression = expression.strip()
    while position < len(expression):
        token = _TOKEN.match(expression, position)
        assert token, f"not understood: {expression[position:]}"
        word, position = token[1], token.end()
        if word in _WORDS:
            parts.append(_WORDS[word])
        else:
            found = word[1:-1] if word[0] == "'" else functions.get(word) if "(" in word else _of(word, context)
            parts.append(repr(found))
    return eval("".join(parts), {"__builtins__": {}})


def _of(name: str, context: dict[str, Any]) -> Any:
    found: Any = context
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _outputs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, several, end = line.partition("<<")
        if several:
            found[name] = "\n".join(iter(lambda end=end: next(lines, end), end))  # type: ignore[misc]
        else:
            name, _, rest = line.partition("=")
            found[name] = rest
    return found
