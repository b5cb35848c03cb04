"""What knows secrets by their form in SQL and in TypeScript, from the one list of patterns in Python."""

from collections.abc import Iterable

from autosync_db.supabase import key, opaque, password


def holds_key() -> str:
    whole = (one.whole for one in key.PATTERNS if not one.is_public)
    paddings = ",\n".join(" " * 24 + pads(secret) for secret in key.SAMPLE_SIGNING_SECRETS)
    return sql_function(
        "holds_key",
        "boolean",
        "whether a text holds what looks like a secret; a placeholder, a variable or a public key is none",
        f"""    select content ~ {quoted("|".join(key.BEGINNINGS))} and (
        exists (
            select from regexp_matches(
                content,
{alternatives(whole, indent=16)},
                'g'
            ) as m
            where case
                -- in base64, by its place: the role
                when m[1] like 'eyJ%' then m[1] ~ {quoted(key.SERVICE)} and not exists (
                    -- a sample: signed with a secret of every local stack, by HMAC (RFC 2104), whose paddings these are
                    select from (values
{paddings}
                    ) as k (inner_pad, outer_pad)
                    cross join lateral convert_to(regexp_replace(m[1], '\\.[^.]*$', ''), 'UTF8') as signed
                    where split_part(m[1], '.', 3) = translate(
                        encode(sha256(k.outer_pad || sha256(k.inner_pad || signed)), 'base64'), '+/=', '-_'
                    )
                )
                else m[1] !~* {quoted(key.PLACEHOLDER.pattern)}
                    and encode(sha256(convert_to(m[1], 'UTF8')), 'hex') <> {quoted(key.SAMPLE_DIGEST)}
            end
        )
        or content ~ 'postgres|assword' and exists (
            -- before a password, itself and behind it
            select from unnest(array[
{listed(map(elsewhere, password.FORMS), indent=16)}
            ]) as f (form)
            cross join lateral regexp_matches(content, f.form, 'g') as m
            cross join lateral btrim(m[2], '''') as p (secret)
            where p.secret <> '' and p.secret !~* {quoted(key.PLACEHOLDER.pattern)}
                and p.secret !~
{alternatives(password.NONE, indent=20)}
                and not (
                    p.secret ~ {quoted(password.KNOWN)}
                    and concat(m[1], m[2], m[3]) ~
{alternatives(password.LOCAL, indent=24)}
                )
        )
    )""",
    )


def pads(secret: bytes) -> str:
    """Return the two paddings of a secret for HMAC as a row of SQL; it is no longer than a block of SHA-256."""
    block = secret.ljust(64, b"\0")
    return f"('\\x{bytes(b ^ 0x36 for b in block).hex()}'::bytea, '\\x{bytes(b ^ 0x5C for b in block).hex()}'::bytea)"


def holds_credential() -> str:
    groups = ", ".join(f"m[{number}]" for number in range(1, len(opaque.CREDENTIALS) + 1))
    return sql_function(
        "holds_credential",
        "boolean",
        "whether a text has an opaque value under a name that carries credentials; one of a known form is none",
        f"""    select content ~*
{alternatives(opaque.SIGNS, indent=8)}
    and exists (
        select from regexp_matches(
            content,
{alternatives((one.expression for one in opaque.CREDENTIALS), indent=12)},
            'gi'
        ) as m
        where coalesce({groups}) !~* '{opaque.NONE}'
    )""",
        "opaque.py",
    )


def mask_keys() -> str:
    begun = "regexp_replace(" * len(password.MASKED)
    ended = ",\n".join(
        f"        {quoted(elsewhere(expression))}, {quoted(password.MASK)}, 'g')" for expression in password.MASKED
    )
    return sql_function(
        "mask_keys",
        "text",
        "a text with *** for everything that looks like a key, public ones too, or like the password of an address",
        f"""    select {begun}
        regexp_replace(
            content,
{alternatives((one.expression for one in key.PATTERNS), indent=12)},
            '***', 'g'
        ),
{ended}""",
    )


def elsewhere(expression: str) -> str:
    """Return an expression of password.py as PostgreSQL and JavaScript read it."""
    return expression.replace(password.ONCE, "(?:")


def alternatives(expressions: Iterable[str], indent: int) -> str:
    """Return a literal of SQL with one alternative a line."""
    first, *others = expressions
    return "\n".join(" " * indent + literal for literal in (quoted(first), *(quoted(f"|{one}") for one in others)))


def listed(expressions: Iterable[str], indent: int) -> str:
    """Return literals of SQL, one a line, with commas."""
    return ",\n".join(" " * indent + quoted(one) for one in expressions)


def quoted(text: str) -> str:
    """Return a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def sql_function(name: str, type: str, purpose: str, body: str, source: str = "key.py and password.py") -> str:
    return f"""-- {name}(content): {purpose}.
-- requires: 0004
-- Written by .ci/generate.py from the patterns in autosync_db/supabase/{source}.
create or replace function autosync.{name}(content text)
returns {type}
language sql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
{body}
$$;

revoke all on function autosync.{name}(text) from public;

comment on function autosync.{name}(text) is '{purpose.partition(";")[0]}';
"""


def key_patterns() -> str:
    keys = "\n".join(f"    String.raw`{one.expression}`," for one in key.PATTERNS)
    passwords = "\n".join(f"  String.raw`{elsewhere(one)}`," for one in password.MASKED)
    return f"""// Written by .ci/generate.py from the patterns in autosync_db/supabase/key.py and password.py.
// deno-fmt-ignore-file: the patterns are as long as they are

const KEYS = new RegExp(
  [
{keys}
  ].join("|"),
  "g",
);

// before a password, itself and behind it
const PASSWORDS = [
{passwords}
].map((pattern) => new RegExp(pattern, "g"));

/** Return `text` without what looks like a key, public ones too, or like the password of an address. */
export function withoutSecrets(text: string): string {{
  return PASSWORDS.reduce(
    (masked, pattern) => masked.replace(pattern, "$1***$3"),
    text.replace(KEYS, "***"),
  );
}}
"""
