#!/usr/bin/env python
"""Look for known vulnerabilities of the versions that are locked, and for packages that are not compatible.

Exit 0: everything was checked and nothing is known. 1: something is. 3: something could not be checked, because no
service answered or one does not know a package: that is not the same as nothing known, and does not count as green.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / "build" / "audit"
LOCKS = ("requirements.txt", "audit.txt")  # the others hold a part of the first
NPM = ("axe-core", "supabase-cli")
CLEAN, FOUND, UNKNOWN = 0, 1, 3
_PATIENCE_SECONDS = 300


class Verdict(NamedTuple):
    """The result of one check: an exit code and its reason."""

    code: int
    what: str
    said: str = ""


def main() -> int:
    """Check everything and print each verdict; the worst decides, and a finding counts more than an unknown."""
    verdicts = [fits(), *(of_python(ROOT / ".ci" / name) for name in LOCKS), *(of_npm(name) for name in NPM)]
    words = {CLEAN: "ok", FOUND: "FOUND", UNKNOWN: "could not look"}
    for verdict in verdicts:
        sys.stdout.write(f"{words[verdict.code]:<15} {verdict.what}{': ' if verdict.said else ''}{verdict.said}\n")
    codes = {verdict.code for verdict in verdicts}
    return FOUND if FOUND in codes else UNKNOWN if UNKNOWN in codes else CLEAN


def fits() -> Verdict:
    """Ask pip whether the installed packages have what they need."""
    done = _run(sys.executable, "-m", "pip", "check")
    return Verdict(CLEAN if done.returncode == 0 else FOUND, "pip check", _last(done.stdout) if done.returncode else "")


def of_python(lock: Path) -> Verdict:
    """Ask PyPI what is known of the versions in a lock."""
    what = f".ci/{lock.name}"
    program = ENVIRONMENT / "bin" / "pip-audit"
    if not program.exists():
        made = _run(sys.executable, "-m", "venv", str(ENVIRONMENT))
        if made.returncode == 0:
            locked = ("--quiet", "--require-hashes", "-r", str(ROOT / ".ci" / "audit.txt"))
            made = _run(str(ENVIRONMENT / "bin" / "pip"), "install", *locked)
        if made.returncode != 0:
            return Verdict(UNKNOWN, what, f"pip-audit could not be installed: {_last(made.stderr)}")
    options = ("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    done = _run(str(program), "-r", str(lock), *options)
    return judged(what, done.returncode, done.stdout, done.stderr)


def judged(what: str, code: int, out: str, error: str) -> Verdict:
    """Return what pip-audit's answer means. It exits 0 for packages that it did not look at, too."""
    try:
        packages = json.loads(out)["dependencies"]
        found = [f"{one['name']} {hole['id']}" for one in packages for hole in one.get("vulns", ())]
        skipped = [one["name"] for one in packages if "skip_reason" in one]
    except (ValueError, KeyError, TypeError):
        return Verdict(UNKNOWN, what, _last(error) or f"pip-audit ended with {code}")
    if found:
        return Verdict(FOUND, what, ", ".join(found))
    if skipped or not packages:
        shown = ", ".join(skipped[:5]) + (" and others" if len(skipped) > 5 else "")
        return Verdict(UNKNOWN, what, f"of {len(packages)} packages {len(skipped)} are not known there: {shown}")
    return Verdict(CLEAN, what, f"{len(packages)} packages")


def of_npm(folder: str) -> Verdict:
    """Ask npm's registry, by Deno, what is known of the versions in a lock."""
    what = f".ci/{folder}/deno.lock"
    deno = Path(sys.executable).parent / "deno"
    if not deno.exists():
        return Verdict(UNKNOWN, what, "there is no deno")
    done = _run(str(deno), "audit", folder=ROOT / ".ci" / folder)
    return judged_npm(what, done.returncode, done.stdout, done.stderr)


def judged_npm(what: str, code: int, out: str, error: str) -> Verdict:
    """Return what Deno's answer means: its sentence decides, because it fails in the same way for both."""
    said = f"{out}\n{error}"
    if code == 0 and "No known vulnerabilities" in said:
        return Verdict(CLEAN, what)
    if "vulnerabilit" in out and "Severity" in said:
        return Verdict(FOUND, what, _last(out))
    return Verdict(UNKNOWN, what, next(_lines(error), f"deno ended with {code}"))


def _run(*command: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=_PATIENCE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 127, "", f"{type(error).__name__}")


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())


def _last(text: str) -> str:
    return next(_lines("\n".join(reversed(text.splitlines()))), "")


if __name__ == "__main__":
    sys.exit(main())
