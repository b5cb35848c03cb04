"""Who is at work meanwhile: people and CI with commands, and the Data API with writes."""

import contextlib
import random
from dataclasses import dataclass, field

import psycopg

from autosync_db.credentials import store
from tests.chaos.world import World
from tests.support import clusters, command, keys

COMMANDS = {
    "migrate": ("migrate",),
    "verify": ("verify",),
    "audit": ("audit",),
    "trigger": ("jobs", "trigger", "expecting"),
    "repair": ("repair", "--yes"),
    "setup": ("setup", "--no-wait"),
    "status": ("status",),
    "rotate": (),
    "plan": (),
    "teardown elsewhere": (),
}


@dataclass
class Operators:
    """People and CI at work meanwhile: migrations, rotations, other settings, API users, and a teardown next door."""

    world: World
    results: list[tuple[str, int, str]] = field(default_factory=list)
    added: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    # what the newest command said on standard error
    said: str = ""

    def __post_init__(self) -> None:
        """Take the choices from the seed."""
        self.source = random.Random(f"{self.world.seed} operators")

    def run_commands(self, every: float) -> None:
        """Run one command after the other until the world ends."""
        waiting: list[str] = []
        while not self.world.ended.wait(every):
            if not waiting:
                waiting = list(COMMANDS)
                self.source.shuffle(waiting)
            try:
                with self.world.alone:
                    self._command(waiting.pop())
            except psycopg.Error as error:
                self.results.append(("look", 4, str(error).strip()))

    def _command(self, name: str) -> None:
        if name == "rotate":
            self._rotate()
        elif name == "plan":
            try:
                self.world.apply_plan(self.source.choice((2, 3, 4)))
                self.results.append((name, 0, ""))
            except Exception as error:
                self.results.append((name, 4, f"{type(error).__name__}: {error}"))
        elif COMMANDS[name]:
            self._process(name, *COMMANDS[name])
        else:
            with self.world.session("supabase_admin", "template1") as admin:
                admin.execute("drop database if exists other with (force)")
                admin.execute("create database other template neighbour owner postgres")
            self._process(name, "teardown", "--yes", database="other")

    def _process(self, name: str, *arguments: str, database: str = "postgres", **variables: str) -> int:
        server = self.source.choice((self.world.cluster, self.world.pooled))
        done = command.run_process(
            *arguments, database=server.url("postgres", database), variables=variables, folder=self.world.folder
        )
        self.said = done.err
        self.results.append((name, done.code, " | ".join((*done.errors, *done.hints))))
        if done.code in (1, 2) or "Traceback" in done.err:
            self.wrong.append(f"{name} ended with exit {done.code}: {done.err[-2000:]}")
        if any(value in done.out + done.err for value in variables.values()):
            self.wrong.append(f"{name} showed a secret")
        return done.code

    def _rotate(self) -> None:
        """Replace the service key; the old one is refused only when the command says that the new one is active."""
        old, new = self.world.key, keys.secret()
        self.world.accept(old, new)
        code = self._process("rotate", "rotate", "--from-env", "NEW_KEY", NEW_KEY=new.reveal())
        # what is unfinished is ended before the next one
        for _ in range(5):
            if code == 0 or self._process("rotate --abort", "rotate", "--abort") == 0 or self.world.ended.wait(2):
                break
        # whoever was cut off from the answer to a commit does not know which it is, and has to look
        active = clusters.wait_for(self._stored_key, "a server that says which key is active", 60)
        if code == 0 and active != new.reveal():
            self.wrong.append("rotate said that it was done, and the new key is not stored")
        self.world.key = new if active == new.reveal() else old
        # it waits for all that carries the old key, or says in a note that something still does
        if code != 0 or "note: " in self.said:
            self.world.ended.wait(6)
        self.world.accept(self.world.key)

    def _stored_key(self) -> str | None:
        with contextlib.suppress(psycopg.Error), self.world.session() as owner:
            return store.read(owner, "service_role_key")
        return None

    def run_writes(self, every: float) -> None:
        """Write as the Data API does until the world ends: the service role may, a user of the API may not."""
        while not self.world.ended.wait(every):
            try:
                self._write()
            except psycopg.OperationalError:
                self.world.ended.wait(0.5)

    def _write(self) -> None:
        kind = self.source.choice(("insert", "insert", "update", "delete", "user"))
        mine = sorted(self.added - self.removed)
        id = self.source.choice(mine) if mine and kind != "insert" else f"{self.source.getrandbits(128):032x}"
        statement = {
            "insert": "insert into public.auto_sync_schedules (id, integration_id, enabled, frequency_minutes)"
            " values (%(id)s, %(id)s, true, 1)",
            "user": "update public.auto_sync_schedules set enabled = false where id = %(id)s",
            "update": "update public.auto_sync_schedules set frequency_minutes = 1 + floor(random() * 3)::integer,"
            " timezone = 'Europe/Paris' where id = %(id)s",
            "delete": "delete from public.auto_sync_schedules where id = %(id)s",
        }[kind]
        self.unknown.add(id)
        role = "authenticated" if kind == "user" else "service_role"
        with self.world.session("authenticator") as connection:
            try:
                with connection.transaction():
                    connection.execute(f"set local role {role}".encode())
                    connection.execute(statement.encode(), {"id": id})
                    if kind == "user":
                        self.wrong.append("a user of the API wrote a schedule")
            except psycopg.errors.InsufficientPrivilege:
                if kind != "user":
                    raise
        self.unknown.discard(id)
        if kind == "insert":
            self.added.add(id)
        elif kind == "delete":
            self.removed.add(id)
