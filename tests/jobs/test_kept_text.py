"""The text of a cron job without its secrets: none of one is left in it, and what it does is known to be the same."""

import psycopg
import pytest

from autosync_db.jobs import kept_text
from autosync_db.jobs.texts import literals
from autosync_db.secret import Secret
from tests.support.clusters import Row

SECRET = "half-1234-other-5678"
POSTS = "select net.http_post('https://h.example/in', headers := {})"
BUILT = POSTS.format("jsonb_build_object('x-token', {})")
# a text, the secret in it, and what is kept instead of the literal; None where it cannot be replaced
TEXTS: dict[str, tuple[str, str, str | None]] = {
    "one literal": (BUILT.format(f"'{SECRET}'"), SECRET, "replace('***token***', '***token***', <the secret token>)"),
    "two literals": (
        BUILT.format("'half-1234' || '-other-5678'"), SECRET,
        "replace('***token***', '***token***', <the secret token>)",
    ),
    "two lines": (
        BUILT.format("'half-1234'\n  '-other-5678'"), SECRET,
        "replace('***token***', '***token***', <the secret token>)",
    ),
    "a doubled quote": (
        BUILT.format("'Bearer it''s-12345'"), "it's-12345",
        "replace('Bearer ***token***', '***token***', <the secret token>)",
    ),
    "an escape": (
        BUILT.format("E'back\\\\slash\\x2d12345'"), "back\\slash-12345",
        "replace('***token***', '***token***', <the secret token>)",
    ),
    "dollars": (BUILT.format(f"$t${SECRET}$t$"), SECRET, "replace('***token***', '***token***', <the secret token>)"),
    "JSON that is joined": (
        POSTS.format(f"""'{{"x-token": "{SECRET}"}}'::jsonb || '{{"a": "b"}}'"""), SECRET,
        """replace('{"x-token": "***token***"}', '***token***', <the secret token>)::jsonb""",
    ),
    "JSON without a cast": (
        POSTS.format(f"""'{{"x-token": "{SECRET}"}}'"""), SECRET,
        """cast(replace('{"x-token": "***token***"}', '***token***', <the secret token>) as jsonb)""",
    ),
    "JSON without a cast by its place": (
        f"""select net.http_get('https://h.example/in', '{{}}', '{{"x-token": "{SECRET}"}}', 9)""", SECRET,
        """cast(replace('{"x-token": "***token***"}', '***token***', <the secret token>) as jsonb)""",
    ),
    "a function that joins": (BUILT.format("concat('half-1234', '-other-5678')"), SECRET, None),
    "an escape in JSON": (POSTS.format("""'{"x-token": "quoted\\"12345"}'"""), 'quoted"12345', None),
    "a comment": (BUILT.format(f"'{SECRET}'") + f" -- {SECRET}", SECRET, None),
    "an odd literal": (BUILT.format("U&'half-1234-other\\002d5678'"), SECRET, None),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_no_part_of_a_secret_is_kept_and_what_cannot_be_replaced_is_not_whole(name: str) -> None:
    text, secret, instead = TEXTS[name]
    kept = kept_text.kept(text, {"token": Secret(secret)})
    assert "1234" not in kept.shown
    assert "5678" not in kept.shown
    assert kept.is_whole == (instead is not None)
    assert (instead or kept_text.MASK) in kept.shown
    # all else is as it was
    assert kept.shown.startswith(text.partition("(")[0])


def test_a_text_that_the_server_refuses_as_it_is_kept_is_not_whole(
    transaction: psycopg.Connection[Row],
) -> None:
    transaction.execute("create extension if not exists pg_net with schema extensions")
    helper = "create function public.h(j jsonb) returns integer language sql as 'select 1'"
    transaction.execute(helper)
    held = f"""('{{"x-token": "{SECRET}"}}')"""
    # a literal takes the type that a function wants, and a text does not
    refused = (f"select public.h{held}", f"do $$ begin perform public.h{held}; end $$", f"select h{held}; select 1")
    good = (
        f"select public.h({held}::jsonb)",
        f"do $$ declare k text := '{SECRET}'; n integer; begin n := length(k); perform n, k where n > 0; end $$",
        TEXTS["JSON without a cast"][0],
        f"set statement_timeout = 0; select length('{SECRET}'); vacuum",
    )
    for texts, is_whole in ((refused, False), (good, True)):
        for text in texts:
            kept = kept_text.checked(transaction, kept_text.kept(text, {"token": Secret(SECRET)}))
            assert kept.is_whole == is_whole, text
            assert bool(kept.fails) != is_whole, text
    # nothing is left of the question
    assert transaction.execute(
        "select count(*) from pg_prepared_statements where name like 'autosync%'"
    ).fetchone() == (0,)


@pytest.mark.parametrize("value", ["", "a", "it's", "back\\slash", "E'x'", "two\nlines", "ü€𝄞", "a || 'b'", "$$"])
def test_a_quoted_text_is_read_as_it_was(value: str, transaction: psycopg.Connection[Row]) -> None:
    written = literals.quoted(value)
    assert [one.value for one in literals.of(f"select {written}, 1")] == [value]
    assert transaction.execute(f"select {written}".encode()).fetchone() == (value,)
