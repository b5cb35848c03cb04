"""The entries of Edge Functions in supabase/config.toml: `verify_jwt = false` for functions that know their caller.

The file is the user's: comments, order, line breaks and all other settings stay as they are.
"""

import copy
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from autosync_db import user_files
from autosync_db.errors import UsageError
from autosync_db.supabase.key import redact

_REASON = (
    "# these check their caller's key themselves; the gateway's check lets the public key through and, on some\n"
    "# versions of the platform, refuses sb_secret_ keys\n"
)


@dataclass(frozen=True, slots=True)
class Change:
    """A settings file before and after; `before` is None where there is none yet."""

    path: Path
    before: str | None
    after: str

    @property
    def diff(self) -> str:
        """Return the change as a unified diff; a key in a line beside it is masked."""
        old, new = ((text or "").splitlines() for text in (self.before, self.after))
        return redact("\n".join(unified_diff(old, new, str(self.path), str(self.path), n=2, lineterm="")))


def sections(functions: Sequence[str]) -> str:
    """Return the entries as lines of config.toml."""
    return "\n".join(f"[functions.{name}]\nverify_jwt = false\n" for name in functions)


def unverified(path: Path, functions: Sequence[str]) -> Change | None:
    """Return how config.toml is to change so that the gateway verifies no JWT for `functions`; None where it is so.

    Raises UsageError when the file cannot be read, or has the functions in a form that cannot be changed in place.
    """
    with user_files.toml_refusals(path):
        try:
            before = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            # named as `supabase init` does it: the CLI wants a name
            name = re.sub(r"[^A-Za-z0-9_.-]+", "-", path.absolute().parent.parent.name).strip("-_.") or "app"
            return Change(path, None, f'project_id = "{name}"\n\n{_REASON}{sections(functions)}')
        return _changed(path, before, functions)


def _changed(path: Path, before: str, functions: Sequence[str]) -> Change | None:
    old = tomllib.loads(before)
    wanted = _wanted(old, functions)
    if wanted is not None and wanted == old:
        return None
    is_of_windows = 0 < before.count("\n") == before.count("\r\n")
    text = before.replace("\r\n", "\n") if is_of_windows else before
    present = old.get("functions")
    absent = [name for name in functions if not isinstance(present, Mapping) or name not in present]
    for name in functions:
        text = text if name in absent else _with_value(text, name)
    if absent:
        text = f"{text.rstrip()}\n\n{_REASON}{sections(absent)}".lstrip("\n")
    after = text.replace("\n", "\r\n") if is_of_windows else text
    try:
        is_right = wanted is not None and tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        is_right = False
    if not is_right:
        lines = sections(functions).replace("\n\n", "\n").replace("\n", "; ").rstrip("; ")
        raise UsageError(f"{path} has its functions in a form that cannot be changed here", hint=f"add to it: {lines}")
    return Change(path, before, after)


def _wanted(old: Mapping[str, Any], functions: Sequence[str]) -> dict[str, Any] | None:
    """Return the settings as they are to be, None where `functions` or one of its entries is no table."""
    wanted = copy.deepcopy(dict(old))
    tables = wanted.setdefault("functions", {})
    if not isinstance(tables, dict):
        return None
    for name in functions:
        if not isinstance(tables.setdefault(name, {}), dict):
            return None
        tables[name]["verify_jwt"] = False
    return wanted


def _with_value(text: str, name: str) -> str:
    """Return the file with `verify_jwt = false` in the entry of a function that has one."""
    import tomlkit

    document = tomlkit.parse(text)
    functions: Any = document["functions"]
    if not isinstance(functions[name], Mapping) or functions[name].get("verify_jwt") is False:
        return text
    header = re.search(
        rf"^[ \t]*\[[ \t]*functions[ \t]*\.[ \t]*([\"']?){re.escape(name)}\1[ \t]*\].*$", text, re.MULTILINE
    )
    if "verify_jwt" not in functions[name] and header:
        # below the header: at the end a comment may stand that speaks of the next table
        return f"{text[: header.end()]}\nverify_jwt = false{text[header.end() :]}"
    functions[name]["verify_jwt"] = False
    return document.as_string()
