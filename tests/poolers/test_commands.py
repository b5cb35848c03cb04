"""Every command that talks to the database does so through a pooler, too, and leaves nothing behind in its sessions."""

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from autosync_db.config import GUIDE_JOB
from autosync_db.local.cluster import Cluster
from autosync_db.schema import migrate, revisions
from tests.poolers.conftest import KEY_VARIABLE, NEVER, Way, reached
from tests.support import cases, clusters, command, health

CALL = "select net.http_post('{}/in')"
# command: the command lines that show it at work, in order, each after its exit code unless that is 0;
# {last} is what the line before printed
ADD = "schedules add --integration {integration} --organization {integration}"
SETUP = "setup --project-url {project_url}"
COMMANDS: dict[str, tuple[str, ...]] = {
    "setup": (SETUP,),
    "migrate": ("migrate", "migrate --check", "migrate --dry-run --format json"),
    "rollback": ("rollback {head}",),
    "status": ("status",),
    "verify": ("verify", "verify --format json --wait 1s", "verify --format prometheus"),
    "audit": ("audit", "audit --format json", "audit --format sarif"),
    "repair": ("repair --dry-run", "repair --yes"),
    "rotate": ("rotate --from-env NEW_KEY",),
    "runs": ("runs", "runs --limit 1 --format json", "runs show 1"),
    "plan": ("plan --check", "plan --prune --yes"),
    "jobs list": ("jobs list", "jobs list --format json"),
    "jobs show": ("jobs show",),
    "jobs preview": ("jobs preview",),
    "jobs pause": ("jobs pause", "jobs resume"),
    "jobs resume": ("jobs resume",),
    "jobs trigger": ("jobs trigger", "jobs trigger --no-wait"),
    "jobs reschedule": ("jobs reschedule {rarely}", "jobs reschedule {never}"),
    "jobs remove": ("jobs remove {job} --yes", SETUP),
    "jobs import": ("jobs import",),
    "jobs adopt": ("jobs adopt theirs --config {theirs} --dry-run", "jobs adopt theirs --config {theirs} --yes"),
    "jobs release": ("jobs release theirs --config {theirs} --yes",),
    "schedules list": ("schedules list", "schedules list --format json"),
    "schedules add": (ADD,),
    "schedules show": (ADD, "schedules show {last} --format json"),
    "schedules run": (ADD, "schedules run {last} --no-wait"),
    "schedules set": (ADD, "schedules set {last} --every 30 --window 08:00-18:00 --timezone Europe/Paris"),
    "schedules enable": (ADD + " --disabled", "schedules enable {last}"),
    "schedules disable": (ADD, "schedules disable {last}"),
    "schedules remove": (ADD, "schedules remove {last} --yes"),
    "secrets list": ("secrets list",),
    "secrets set": ("secrets set extra --from-env NEW_KEY",),
    "secrets env": ("6 secrets env function.env",),  # there is no cron secret to write
    "secrets history": ("secrets history",),
    "alerts set": ("alerts set webhook --from-env RECEIVER",),
    "alerts list": ("alerts list",),
    "alerts test": ("alerts test webhook",),
    "alerts delete": ("alerts delete webhook",),
    "secrets delete": ("secrets set passing --from-env NEW_KEY", "secrets delete passing --yes"),
    "watch": ("watch --for 1s --format json", "watch --for 500ms --every 500ms"),
    "cost": ("cost", "cost --format json --plan pro"),
    "report": ("report --format json", "report -o -"),
    "teardown": ("teardown --dry-run --format json", "teardown --yes"),
}
# these make files, print what is in the package, or have a database of their own
WITHOUT_DATABASE = re.compile(r"init|explain|schedules preview|secrets scan|export .*|scaffold .*|local .*")


def test_every_command_that_talks_to_the_database_is_tried() -> None:
    known = {name for name in map(" ".join, command.leaves()) if not WITHOUT_DATABASE.fullmatch(name)}
    assert known == set(COMMANDS), "add the command to COMMANDS, with lines that show it at work"


# tests/cli tries commands without a pooler, and one of transactions is stricter than one of sessions
@pytest.fixture(
    scope="module",
    params=[pytest.param(way, marks=pytest.mark.long) for way in ("direct", "session", "transaction")],
)
def healthy(request: pytest.FixtureRequest, blank_template: Cluster) -> Iterator[Way]:
    """The project set up from nothing: migrated, its secrets stored, its job scheduled, called and verified."""
    with (
        health.launcher_that_counts_as_settled(),
        health.impatience(),
        reached(blank_template, request.param) as way,
        clusters.pg_net_worker(way.cluster),
    ):
        command.succeeds(way.run("setup", "--project-url", way.stub.url, variables={KEY_VARIABLE: way.key.reveal()}))
        assert way.leftovers() == []
        # a cron job of somebody's
        with clusters.connect(way.cluster) as owner:
            owner.execute("select cron.schedule('theirs', %s, %s)", [NEVER, CALL.format(way.stub.url)])
        yield way


def test_every_command_works_and_leaves_nothing_behind(healthy: Way, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.toml"
    theirs.write_text(f'[jobs.theirs]\nschedule = "{NEVER}"\nurl = "{healthy.stub.url}/in"\nauth = "none"\n')
    given = {"NEW_KEY": healthy.key.reveal(), "RECEIVER": f"{healthy.stub.url}/in", KEY_VARIABLE: healthy.key.reveal()}
    with cases.collected() as case:
        for name, lines in COMMANDS.items():
            values = {
                "project_url": healthy.stub.url, "head": revisions.head(), "integration": str(uuid.uuid4()), "last": "",
                "job": GUIDE_JOB, "never": NEVER, "rarely": "0 0 2 2 *", "theirs": str(theirs),
            }  # fmt: skip
            with case(name):
                for line in lines:
                    wanted, words = re.fullmatch(r"(\d*) ?(.*)", line).groups()  # type: ignore[union-attr]
                    arguments = [part.format(**values) for part in words.split()]
                    # the settings of healthy.run are those of the guide's job
                    run = (
                        healthy.run
                        if "--config" not in arguments
                        else partial(command.run, database=healthy.pooled.url())
                    )
                    result = run(*arguments, variables=given)
                    assert result.code == int(wanted or 0), f"{line}: {result}"
                    values["last"] = result.out.strip()
                assert healthy.leftovers() == []


@pytest.mark.parametrize(
    "name", [pytest.param(way, marks=pytest.mark.long) for way in ("direct", "session", "transaction")]
)
def test_from_nothing_to_head_and_back(name: str, blank_template: Cluster) -> None:
    with reached(blank_template, name) as way:
        assert way.run("migrate", "--check").code == 5
        for step in revisions.known():
            command.succeeds(way.run("migrate", step))
        command.succeeds(way.run("migrate", "--check"))
        command.succeeds(way.run("rollback", "base", "--yes"))
        command.succeeds(way.run("migrate"))
        assert migrate.plan(way.cluster.url()).is_current
        assert way.leftovers() == []


@pytest.mark.long
def test_of_many_migrations_behind_two_connections_one_works(blank_template: Cluster) -> None:
    with reached(blank_template, "transaction") as way, ThreadPoolExecutor(4) as pool:
        # processes of their own: Alembic is not made for threads
        run = partial(command.run_process, "migrate", "--format", "json", database=way.pooled.url())
        outcomes = [command.succeeds(done).json() for done in pool.map(lambda _: run(), range(4))]
        assert sorted(bool(outcome["revisions"]) for outcome in outcomes) == [False] * 3 + [True]
        assert migrate.plan(way.cluster.url()).is_current
        assert way.leftovers() == []
