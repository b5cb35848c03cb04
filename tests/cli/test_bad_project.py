"""An address or a key that cannot be right: `setup` refuses it before anything is contacted."""

import itertools
from collections.abc import Callable
from pathlib import Path

from autosync_db.cli import secret_input
from autosync_db.secret import Secret
from tests.cli.conftest import Listener
from tests.support import cases, command, keys
from tests.support.command import Result

OTHER_REF = keys.PROJECT_REF[::-1]
URL = f"https://{keys.PROJECT_REF}.supabase.co"


def _setup(listener: Listener, *arguments: str, key: Secret | None = None) -> Result:
    return command.run(
        "setup",
        *arguments,
        "--service-role-key-file",
        "-",
        database=listener.database,
        stdin=(key or keys.secret()).reveal(),
    )


# each with what the error names and what the hint offers
BAD_URLS = (
    (f"{URL}/functions/v1/auto-sync-cron", "has a path", URL),
    (f"{URL}/rest/v1", "has a path", URL),
    (f"{URL}?x=1", "has a path", URL),
    (f"{URL}/", "trailing slash", URL),
    (f"{keys.PROJECT_REF}.supabase.co", "no scheme", URL),
    ("localhost:54321", "no scheme", "http://localhost:54321"),
    (f"http://{keys.PROJECT_REF}.supabase.co", "not encrypted", URL),
    (f"ftp://{keys.PROJECT_REF}.supabase.co", "scheme 'ftp'", URL),
    (f" {URL}", "blanks", "one line"),
    (f"{URL}\n", "blanks", "one line"),
    ("https://", "does not name a plain host", "https://HOST"),
    ("https://host:port", "invalid port", "https://HOST"),
)


def test_a_project_url_that_is_not_an_origin_is_refused(listener: Listener) -> None:
    with cases.collected() as case:
        for url, named, cure in BAD_URLS:
            with case(url):
                result = _setup(listener, "--project-url", url)
                assert named in command.refused(result, 2)
                assert cure in result.hints[0]
                assert not listener.was_called


def test_a_project_url_in_the_settings_file_is_judged_alike(listener: Listener) -> None:
    Path("autosync.toml").write_text(f"[targets.production]\nproject_url = '{URL}/'\n")
    assert "trailing slash" in command.refused(_setup(listener, "--target", "production"), 2)
    assert not listener.was_called


def test_a_password_in_a_project_url_is_not_repeated(listener: Listener) -> None:
    canary = keys.secret().reveal().removeprefix("sb_secret_")
    result = _setup(listener, "-vv", "--project-url", f"https://user:{canary}@host.example")
    assert result.code == 2
    assert canary not in result.out + result.err
    assert not listener.was_called


def test_a_project_ref_that_is_not_one_is_refused(listener: Listener) -> None:
    with cases.collected() as case:
        for ref in ("short", keys.PROJECT_REF.upper(), keys.PROJECT_REF + "x", URL, ""):
            with case(ref):
                command.refused(_setup(listener, f"--project-ref={ref}"), 2)
                assert not listener.was_called


def test_address_and_ref_together_are_refused(listener: Listener) -> None:
    command.refused(_setup(listener, "--project-ref", keys.PROJECT_REF, "--project-url", URL), 2)
    assert not listener.was_called


def test_another_project_than_the_targets_is_refused(listener: Listener) -> None:
    Path("autosync.toml").write_text(f"[targets.production]\nproject_ref = '{OTHER_REF}'\n")
    message = command.refused(_setup(listener, "--target", "production", "--project-url", URL), 2)
    assert OTHER_REF in message
    assert not listener.was_called


BAD_KEYS: dict[str, tuple[Callable[[], Secret], str]] = {
    "anon": (lambda: keys.legacy("anon"), "role 'anon'"),
    "authenticated": (lambda: keys.legacy("authenticated"), "role 'authenticated'"),
    "expired": (lambda: keys.legacy(expires_in=-60), "expired on"),
    "other project": (lambda: keys.legacy(ref=OTHER_REF), OTHER_REF),
    "publishable": (
        lambda: Secret(keys.secret().reveal().replace("secret", "publishable", 1)),
        "publishable",
    ),
    "cut off": (lambda: Secret(keys.secret().reveal()[:20]), "too short"),
    "placeholder": (lambda: Secret("your-service-role-key"), "placeholder"),
    "angle brackets": (lambda: Secret("<SERVICE_ROLE_KEY>"), "placeholder"),
    "blank": (lambda: Secret(" \n\t "), "empty"),
    "two lines": (lambda: Secret(f"{keys.secret().reveal()}\n{keys.secret().reveal()}"), "line breaks"),
    "neither": (lambda: Secret("some-words-that-are-no-key-at-all"), "neither a JWT"),
    "cut JWT": (lambda: Secret(keys.legacy().reveal()[:-60]), "it was cut off when copied"),
}


def test_a_key_that_is_no_service_key_of_this_project_is_refused(listener: Listener) -> None:
    with cases.collected() as case:
        for name, (make, named) in BAD_KEYS.items():
            with case(name):
                key = make()
                result = _setup(listener, "--project-url", URL, key=key)
                assert named in command.refused(result, 6)
                loud = _setup(listener, "-vv", "--project-url", URL, key=key)
                assert loud.code == 6
                for word in key.reveal().split():
                    if len(word) >= 20:  # a key, not a role's name
                        assert word not in result.err + loud.out + loud.err
                assert not listener.was_called


def test_a_blank_key_in_the_environment_is_refused(listener: Listener) -> None:
    result = command.run(
        "setup",
        "--project-url",
        URL,
        database=listener.database,
        variables={"SUPABASE_SERVICE_ROLE_KEY": "  "},
    )
    assert "empty" in command.refused(result, 6)
    assert not listener.was_called


def test_a_key_file_that_is_not_there_is_refused(listener: Listener) -> None:
    result = command.run("setup", "--project-url", URL, "--service-role-key-file", "absent", database=listener.database)
    assert "absent" in command.refused(result, 2)
    assert not listener.was_called


def test_a_key_typed_where_none_belongs_is_not_repeated(listener: Listener) -> None:
    places: tuple[tuple[str, ...], ...] = (
        (),
        ("--service-role-key",),
        ("--service-role-key-file",),
        ("--project-url",),
        ("--project-ref",),
        ("--target",),
    )
    with cases.collected() as case:
        for make, place in itertools.product((keys.legacy, keys.secret), places):
            with case((make.__name__, *place)):
                canary = make().reveal()
                result = command.run("setup", "-vv", *place, canary, database=listener.database)
                assert result.code in {2, 6}, result.err
                assert len(result.errors) == len(result.hints) == 1
                assert all(part not in result.out + result.err for part in (canary, canary.rpartition(".")[2]))
                assert not listener.was_called


def test_a_key_in_the_place_of_a_name_is_said_to_be_one_and_a_mark_before_it_is_none(
    listener: Listener, tmp_path: Path
) -> None:
    key = keys.secret().reveal()
    for flag, said in (("--service-role-key-file", "name of a file"), ("--service-role-key-env", "of a variable")):
        result = command.run("setup", "--project-url", URL, flag, key, database=listener.database)
        assert said in command.refused(result, 2)
        assert "is in the shell's history now: replace it" in result.hints[0]
    (tmp_path / "key.txt").write_bytes(b"\xef\xbb\xbf" + key.encode() + b"\r\n")
    assert secret_input.read(str(tmp_path / "key.txt"), "service key").reveal() == key


def test_an_absent_variable_named_by_flag_is_refused_instead_of_using_the_stored_key(
    listener: Listener,
) -> None:
    result = command.run("setup", "--project-url", URL, "--service-role-key-env", "NOT_SET", database=listener.database)
    assert "NOT_SET" in command.refused(result, 2)
    assert not listener.was_called


LOST = (
    ("--project-ref", "", "--project-ref is empty"),
    ("--project-url", "", "--project-url is empty"),
    ("--service-role-key-file", "", "--service-role-key-file is empty"),
    ("--service-role-key-env", "", "--service-role-key-env is empty"),
    ("--target", "", "--target is empty"),
    ("--database-url", "", "--database-url is empty"),
    ("--project-ref", "--no-wait", "--project-ref took --no-wait for its value"),
    ("--service-role-key-file", "--no-wait", "--service-role-key-file took --no-wait for its value"),
    ("--target", "--quiet", "--target took --quiet for its value"),
)


def test_the_value_of_a_variable_that_is_not_set_is_missed(listener: Listener) -> None:
    """As `--project-ref $REF --no-wait` leaves it, with and without quotes."""
    with cases.collected() as case:
        for option, value, message in LOST:
            with case((option, value)):
                result = command.run("setup", option, value, database=listener.database)
                assert command.refused(result, 2) == message
        for typed, message in {
            ("migrate", ""): "REVISION is empty",
            ("migrate", "--sql", ""): "REVISION is empty",
            ("rollback", "", "--yes"): "REVISION is empty",
            ("verify", "--wait", ""): "--wait is empty",
        }.items():
            with case(typed):
                assert command.refused(command.run(*typed, database=listener.database), 2) == message
                assert f'Write {option} "$NAME" with the quotes' in result.hints[0]
        with case("the variable of a target"):
            Path("autosync.toml").write_text("[targets.production]\ndatabase_url_env = 'OWN'\n")
            result = command.run("setup", "--target", "production", variables={"OWN": ""})
            assert "OWN, which is set, and empty" in command.refused(result, 2)
    assert not listener.was_called
