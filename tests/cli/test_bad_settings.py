"""Settings that cannot be understood: refused before anything is contacted."""

import itertools
import re
from pathlib import Path

from autosync_db.local.cluster import Cluster
from tests.cli.conftest import Listener
from tests.support import cases, command, keys

SOME = (("migrate",), ("setup", "--no-wait"), ("verify",))
_ID = "00000000-0000-4000-8000-000000000009"
READERS = (
    "setup --no-wait", "migrate", "migrate --check", "migrate --dry-run", "rollback base", "plan", "plan --check",
    "verify", "status", "runs", "audit", "repair --dry-run", "rotate --from-env PATH",
    "jobs list", "jobs show", "jobs trigger", "jobs pause", "jobs resume", "jobs preview", "jobs remove x --yes",
    "jobs reschedule 0_6_*_*_*", "jobs import", "jobs adopt x --yes", "jobs release x --yes",
    "schedules list", f"schedules add --integration {_ID}", f"schedules set {_ID} --every 5", f"schedules show {_ID}",
    f"schedules run {_ID}", f"schedules enable {_ID}", f"schedules disable {_ID}", f"schedules remove {_ID} --yes",
    "secrets list", "secrets history", "secrets set x --from-env PATH", "secrets delete x --yes",
    "export supabase", "export supabase --schemas", "cost", "watch", "teardown --yes", "report -o x.html",
    "alerts list", "alerts set slack --from-env PATH", "alerts test slack", "alerts delete slack",
)  # fmt: skip
# these read none: what they do does not depend on it
WITHOUT = re.compile(r"init|explain|schedules preview|secrets (scan|env)|scaffold .*|local .*")


# each with what the error names
BAD_FILES = (
    ("[job\nname = 'x'\n", "is not valid TOML"),
    ("[job]\nname = 'a'\nname = 'b'\n", "is not valid TOML"),
    ("[job]\nshedule = '*/5 * * * *'\n", "job.shedule: is not a setting"),
    ("[jobs]\nname = 'x'\n", "jobs.name: this is to be a table with a name of its own: [jobs.NAME]"),
    ("[job.daily]\nfunction = 'daily'\n", "job.daily: is not a setting: it belongs in [jobs.daily]"),
    ("project_ref = 'x'\n", "project_ref: is not a setting: it belongs in [targets.NAME]"),
    ("[secrets]\nmode = 'none'\n", "secrets.mode: is not a setting: it belongs in [isolation]"),
    ("[targets.production]\nproject_ref = 'my-project'\n", "targets.production.project_ref of autosync.toml: 'my-"),
    ("[jobs.x]\nwatch = true\n[job]\nname = 'x'\n", "jobs.x: this job is named twice"),
    ("[jobs.x]\nfunction = 'x'\nschedule = '0 0 31 2 *'\n", "jobs.x.schedule: the schedule '0 0 31 2 *'"),
    ("[targets.production]\npassword_file = 'x'\n", "targets.production.password_file: is not a setting"),
    ("[job]\nbatch_size = 'many'\n", "job.batch_size"),
    ("[job]\nbatch_size = 0\n", "job.batch_size"),
    ("[job]\nname = 5\n", "job.name"),
    ('[job]\nname = "x\'; drop table y"\n', "job.name"),
    ("[job]\nfunction = '../other'\n", "job.function"),
    ("[job]\ntimeout = 'soon'\n", "job.timeout"),
    ("[job]\ntimeout = '1h'\n", "job.timeout"),
    ("[job]\ninvoke = 'sometimes'\n", "job.invoke"),
    ("[job]\nschedule = ''\n", "job.schedule"),
    ("job = 'x'\n", "job"),
    ("targets = ['production']\n", "targets"),
    ("[retention]\ninvocations = 'for ever'\n", "retention.invocations"),
)


def test_a_settings_file_that_cannot_be_understood_is_refused(listener: Listener) -> None:
    with cases.collected() as case:
        for text, named in BAD_FILES:
            with case(text):
                Path("autosync.toml").write_text(text)
                message = command.refused(command.run("migrate", database=listener.database), 2)
                assert "autosync.toml" in message
                assert named in message
                assert not listener.was_called


def test_every_command_refuses_settings_that_cannot_be_meant(listener: Listener) -> None:
    named = {" ".join(path) for path in command.leaves()}
    tried = {name for name in named for line in READERS if f"{line} ".startswith(f"{name} ")}
    assert {name for name in named - tried if not WITHOUT.fullmatch(name)} == set(), "add the command to READERS"
    with cases.collected() as case:
        for text in (
            "[jobs.x]\nfunction = 'x'\nschedule = 'every day'\n",
            "[job]\nschedule = '0 0 31 2 *'\n",
            "[limits]\n=\n",
        ):
            Path("autosync.toml").write_text(text)
            for line in READERS:
                with case(line):
                    arguments = [word.replace("_", " ") for word in line.split()]
                    message = command.refused(command.run(*arguments, database=listener.database), 2)
                    assert "autosync.toml" in message
            assert not listener.was_called
            assert sorted(path.name for path in Path().iterdir()) == ["autosync.toml"], "nothing was written"


def test_a_file_that_is_not_text_is_refused(listener: Listener) -> None:
    Path("autosync.toml").write_bytes(b'[job]\nname = "\xff\xfe"\n')
    assert "not UTF-8" in command.refused(command.run("migrate", database=listener.database), 2)
    assert not listener.was_called


def test_a_folder_in_the_place_of_the_file_is_refused(listener: Listener) -> None:
    Path("autosync.toml").mkdir()
    assert "autosync.toml" in command.refused(command.run("migrate", database=listener.database), 2)
    assert not listener.was_called


def test_a_settings_file_that_is_not_there_is_refused(listener: Listener) -> None:
    message = command.refused(command.run("migrate", "--config", "other.toml", database=listener.database), 2)
    assert "other.toml" in message
    assert not listener.was_called


def test_a_variable_of_the_wrong_type_is_refused(listener: Listener) -> None:
    with cases.collected() as case:
        for variable in ("AUTOSYNC_JOB__TIMEOUT", "AUTOSYNC_JOB__INVOKE", "AUTOSYNC_JOB__BATCH_SIZE"):
            with case(variable):
                result = command.run("migrate", database=listener.database, variables={variable: "perhaps"})
                message = command.refused(result, 2)
                assert variable.removeprefix("AUTOSYNC_").lower().replace("__", ".") in message
                assert "perhaps" in message or "input" in message
                assert not listener.was_called


def test_a_variable_of_no_setting_is_refused(listener: Listener) -> None:
    result = command.run("migrate", database=listener.database, variables={"AUTOSYNC_JOB__SHEDULE": "* * * * *"})
    assert "is not a setting" in command.refused(result, 2)
    assert not listener.was_called


def test_an_unknown_target_is_refused_and_the_known_ones_are_named(listener: Listener) -> None:
    Path("autosync.toml").write_text("[targets.production]\n[targets.staging]\n")
    ways: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
        (("--target", "prod"), {}),
        ((), {"AUTOSYNC_TARGET": "prod"}),
    )
    with cases.collected() as case:
        for arguments, (flag, variables) in itertools.product(SOME, ways):
            with case((*arguments, *flag, variables)):
                result = command.run(*arguments, *flag, database=listener.database, variables=variables)
                assert "there is no target 'prod'" in command.refused(result, 2)
                assert "production, staging" in result.hints[0]
    assert not listener.was_called


def test_a_target_without_any_file_is_refused_with_the_table_to_add(listener: Listener) -> None:
    result = command.run("migrate", "--target", "production", database=listener.database)
    command.refused(result, 2)
    assert "[targets.production]" in result.hints[0]


def test_the_local_target_before_local_up_names_the_command() -> None:
    result = command.run("status", "--target", "local")
    command.refused(result, 2)
    assert "autosync-db local up" in result.hints[0]


def test_a_target_with_two_addresses_is_refused(listener: Listener) -> None:
    Path("autosync.toml").write_text(
        f"[targets.production]\nproject_ref = '{keys.PROJECT_REF}'\nproject_url = 'https://{keys.PROJECT_REF}.supabase.co'\n"
    )
    result = command.run("migrate", "--target", "production", database=listener.database)
    assert "both project_ref and project_url" in command.refused(result, 2)
    assert not listener.was_called


def test_a_target_whose_variable_is_not_set_is_refused_instead_of_using_another_database(
    listener: Listener,
) -> None:
    Path("autosync.toml").write_text("[targets.production]\ndatabase_url_env = 'PRODUCTION_DATABASE'\n")
    result = command.run("migrate", "--target", "production", database=listener.database)
    assert "PRODUCTION_DATABASE" in command.refused(result, 2)
    assert not listener.was_called


def test_no_database_at_all_is_refused_with_the_ways_to_name_one() -> None:
    with cases.collected() as case:
        for arguments in (*SOME, ("rollback", "base"), ("status",), ("runs",)):
            with case(arguments):
                result = command.run(*arguments, variables={"SUPABASE_SERVICE_ROLE_KEY": keys.secret().reveal()})
                command.refused(result, 2)
                assert "--database-url" in result.hints[0]
                assert "there is no autosync.toml here or in a folder above" in result.hints[0]
    other = command.run("status", variables={"POSTGRES_URL": "postgresql://u:p@h/db"})
    assert 'export AUTOSYNC_DATABASE_URL="$POSTGRES_URL"' in other.hints[0]
    command.succeeds(command.run("init"))
    assert "no autosync.toml" not in command.run("status", variables={"AUTOSYNC_TARGET": ""}).hints[0]


def test_what_an_editor_or_a_ci_system_leaves_around_a_value_is_no_part_of_it(shared: Cluster, tmp_path: Path) -> None:
    Path("autosync.toml").write_bytes(b'\xef\xbb\xbf[targets.mine]\r\ndatabase_url_env = "MINE"\r\n')
    variables = {"MINE": f" {shared.url().reveal()}\n"}
    command.succeeds(command.run("status", "--target", "mine", variables=variables))


def test_a_database_url_that_cannot_be_parsed_is_refused_without_being_quoted() -> None:
    canary = keys.secret().reveal().removeprefix("sb_secret_")
    for url in (f"postgresql://u:{canary}@[host/db", f"host=h password={canary} nonsense"):
        result = command.run("migrate", "-vv", variables={"DATABASE_URL": url})
        assert result.code == 2
        assert len(result.errors) == len(result.hints) == 1
        assert canary not in result.err + result.out


class TestSecretInTheFile:
    """A secret in autosync.toml is refused wherever it stands, and never repeated."""

    PLACES = (
        ("legacy", "[targets.production]\nproject_url = '{}'"),
        ("legacy", "[job]\nname = '{}'"),
        ("legacy", "[anything]\nkeys = ['a', {{ b = '{}' }}]"),
        ("secret", "[targets.production]\nservice_role_key_file = '{}'"),
        ("secret", "service_role_key = '{}'"),
        (
            "password",
            "[targets.production]\ndatabase_url = 'postgresql://postgres:{}@localhost/postgres'",
        ),
        ("password", "[targets.production]\ndatabase_url = 'host=localhost password={}'"),
        (
            "password",
            "[targets.production]\ndatabase_url = 'postgresql://localhost/postgres?password={}'",
        ),
    )

    def test_is_refused(self, listener: Listener) -> None:
        with cases.collected() as case:
            for kind, place in self.PLACES:
                with case((kind, place)):
                    canary = (keys.legacy if kind == "legacy" else keys.secret)().reveal()
                    if kind == "password":
                        canary = canary.removeprefix("sb_secret_")
                    Path("autosync.toml").write_text(place.format(canary) + "\n")
                    message = command.refused(command.run("setup", database=listener.database), 2)
                    assert "holds a secret" in message
                    loud = command.run("setup", "-vv", database=listener.database)
                    assert loud.code == 2
                    assert canary not in message + loud.out + loud.err
                    assert not listener.was_called

    def test_is_not_quoted_by_the_parser_either(self, listener: Listener) -> None:
        canary = keys.secret().reveal()
        Path("autosync.toml").write_text(f"[job]\nname = {canary}\n")
        result = command.run("migrate", "-vv", database=listener.database)
        assert result.code == 2
        assert "not valid TOML" in result.errors[0]
        assert canary not in result.err
