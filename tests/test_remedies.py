"""Commands inside of sentences: what they carry so that they can be pasted, and what is no command."""

import pytest

from autosync_db import sql_names
from autosync_db.local.cluster import Cluster
from autosync_db.plain import printable
from autosync_db.remedies import COMMANDS, GROUPS, Aim, ByYou, Kind, filled, kind_of
from tests.support import clusters, command

_AIM = Aim((("--target", "shop"), ("--config", "my settings.toml")))
_GIVEN = "--target shop --config 'my settings.toml'"
CARRIED = {
    "run: autosync-db verify": f"run: autosync-db verify {_GIVEN}",
    "autosync-db repair job_active": f"autosync-db repair {_GIVEN} job_active",
    "list them with: autosync-db schedules list --state failing": f"list them with: autosync-db schedules list {_GIVEN}"
    " --state failing",
    "autosync-db job trigger 'a job'": f"autosync-db job trigger {_GIVEN} 'a job'",
    "a=1 autosync-db setup; then autosync-db runs": f"a=1 autosync-db setup {_GIVEN}; then autosync-db runs {_GIVEN}",
    "(autosync-db rotate): ": f"(autosync-db rotate {_GIVEN}): ",
    "autosync-db setup --target local": "autosync-db setup --config 'my settings.toml' --target local",
    "autosync-db local up": "autosync-db local up --config 'my settings.toml'",
    "autosync-db init": "autosync-db init",
    "a bug in autosync-db": "a bug in autosync-db",
    "which this version of autosync-db does not know": "which this version of autosync-db does not know",
    "autosync-db: a secret of the scheduled calls": "autosync-db: a secret of the scheduled calls",
}


@pytest.mark.parametrize("text", CARRIED)
def test_a_command_carries_the_options_of_the_run_and_a_sentence_stays(text: str) -> None:
    assert _AIM.at(text) == CARRIED[text]
    assert Aim().at(text) == text


def test_a_target_that_knows_its_address_is_not_asked_for_it() -> None:
    remedy = "autosync-db setup --project-url URL --service-role-key-file PATH"
    assert Aim(knows_address=True).at(remedy) == "autosync-db setup --service-role-key-file PATH"
    assert Aim(knows_address=True).at("pass --project-url URL") == "pass --project-url URL"


def test_every_command_is_known_as_one() -> None:
    paths = command.paths()
    single = {path[0] for path in paths if path}
    assert single <= COMMANDS
    assert {path[0] for path in paths if len(path) > 1} <= GROUPS
    assert not {path[0] for path in command.leaves() if len(path) == 1} & GROUPS


def test_what_was_found_is_quoted_for_whoever_runs_it() -> None:
    facts = {"job": "a job; rm x", "setting": "pg_net.ttl", "role": 'my "role"', "job_id": 7}
    assert filled("autosync-db jobs trigger {job}", facts) == "autosync-db jobs trigger 'a job; rm x'"
    assert filled("alter system reset {setting}", facts) == "alter system reset pg_net.ttl"
    quoted = filled("alter role {role} nologin -- {job}", facts)
    assert quoted == 'alter role "my ""role""" nologin -- ' + "'a job; rm x'"
    assert filled("select cron.unschedule({job_id}), {unknown}", facts) == "select cron.unschedule(7), UNKNOWN"
    named = {
        "role": "App User",
        "job_id": 7,
        "table": "public.My Table",
        "database": "it's",
        "job": "a job",
        "function": "my-fn",
    }
    for role, written in (
        ("App User", '"App User"'),
        ("user", '"user"'),
        ("a.b", '"a.b"'),
        ("123", '"123"'),
        ("_a1$", "_a1$"),
        ("Ä", '"Ä"'),
    ):
        assert filled("alter role {role} nologin", {"role": role}) == f"alter role {written} nologin"
    for remedy, written in (
        (
            ByYou(
                "if it needs none: alter role {role} nologin; else see {function}",
                then="autosync-db jobs trigger {job}",
            ),
            "alter role \"App User\" nologin; else see my-fn; then: autosync-db jobs trigger 'a job'",
        ),
        (ByYou("supabase functions deploy {function}", where="as {role}"), "deploy my-fn"),
        (ByYou("grant select on {table} to {role}"), 'grant select on public."My Table" to "App User"'),
        ("alter system set pg_net.database_name = '{database}'; -- {job}", "= 'it''s'; -- 'a job'"),
        ("alter system reset {setting}; select 1", "alter system reset SETTING;"),
    ):
        assert written in filled(remedy, named)


def test_every_word_of_the_servers_own_is_quoted_as_a_name(shared: Cluster) -> None:
    with clusters.connect(shared) as connection:
        words = connection.execute("select word, catcode::text in ('R', 'T') from pg_get_keywords()").fetchall()
        for word, is_reserved in words:
            assert not is_reserved or sql_names.identifier(word) == f'"{word}"', word
            connection.execute(f"select 1 as x from (select 1) as {sql_names.identifier(word)}".encode())


def test_a_name_stays_in_the_line_of_its_remedy_and_is_the_same_name(shared: Cluster) -> None:
    name = 'a\n::error::"x" \\+00\u202e\x1b[2J'
    for remedy in ("autosync-db jobs trigger {job}", "drop trigger {job} on t", "drop role r -- {job}"):
        shown = filled(remedy, {"job": name})
        assert printable(shown) == shown
        assert "\n" not in shown
    quoted = filled("select 1 as {job}", {"job": name})
    with clusters.connect(shared) as connection:
        assert [one.name for one in connection.execute(quoted.encode()).description or ()] == [name]


def test_what_only_the_user_can_do_is_a_kind_of_its_own() -> None:
    done = ByYou("restore the project", where="in the dashboard", then="autosync-db jobs trigger")
    assert done == "# by you, in the dashboard: restore the project; then: autosync-db jobs trigger"
    assert (kind_of(done), done.then) == (Kind.BY_YOU, "autosync-db jobs trigger")
    assert [kind_of(text) for text in ("autosync-db setup", "A=1 autosync-db setup", "notify pgrst")] == [
        Kind.COMMAND, Kind.COMMAND, Kind.SQL,
    ]  # fmt: skip
