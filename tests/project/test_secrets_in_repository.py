"""No file of the repository holds a key, a real project, a developer's path or a package registry's host."""

import re
import subprocess
from pathlib import Path

from tests.support import keys

ROOT = Path(__file__).parents[2]
# written so that no pattern matches its own text
PATTERNS = {
    "a JWT": r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    "a secret key": r"sb_secret_[A-Za-z0-9_-]{16,}",
    "a publishable key": r"sb_publishable_[A-Za-z0-9_-]{16,}",
    "an access token": r"sbp_[0-9a-f]{20,}|gh[pousr]_[A-Za-z0-9]{30,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a project": r"[a-z]{20}\.supabase\.(?:co|in|net)\b",
    "a developer's path": (
        r"(?:/(?:home|Users|root)/\w|/work/(?:main|shared|\.)|/tmp/(?:venv|bash_jobs)\b|[A-Z]:\\Users\\)"
    ),
    "a package registry": (
        r"\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|jsr\.io|hub\.docker\.com|registry-1\.docker\.io"
        r"|ghcr\.io|quay\.io|gcr\.io|ecr\.aws|crates\.io|rubygems\.org|proxy\.golang\.org)"
    ),
}
# and the other project of the tests
PLACEHOLDERS = {
    f"{keys.PROJECT_REF}.supabase.co",
    f"{keys.PROJECT_REF}.supabase.in",
    f"{keys.PROJECT_REF[::-1]}.supabase.co",
}


def findings(text: str) -> list[str]:
    return [
        f"{what}: {match[0][:24]}"
        for what, pattern in PATTERNS.items()
        for match in re.finditer(pattern, text)
        if match[0] not in PLACEHOLDERS
    ]


def repository_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_holds_what_belongs_to_somebody() -> None:
    files = repository_files()
    assert len(files) > 100
    found = {
        name: seen for name in files if (seen := findings((ROOT / name).read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


def test_what_belongs_to_somebody_is_seen() -> None:
    unseen = {
        what
        for what, text in {
            "JWT": keys.legacy().reveal(),
            "secret key": keys.secret().reveal(),
            "project": "https://" + "zyxwvutsrqponmlkjihg" + ".supabase.co",
            "path": "/".join(("", "home", "somebody", "project")),
            "registry": "https://" + ".".join(("files", "pythonhosted", "org")) + "/simple",
        }.items()
        if not findings(f'value = "{text}"')
    }
    assert unseen == set()
    assert findings(f"https://{keys.PROJECT_REF}.supabase.co") == [], "the placeholder of a project is allowed"
