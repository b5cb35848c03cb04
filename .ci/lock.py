"""Write .ci/requirements.txt, the newest versions of everything, with the hashes of what Linux can install.

.ci/runtime.txt has of these what the program needs and what builds it: for the image, and for the action; .ci/demo.txt
what the local stack needs besides: for `make demo`, which installs no tools of the tests; .ci/audit.txt the program
that looks for known vulnerabilities in these, in its own environment. uv resolves for every platform and lists every
file; the checkout is set up on Linux alone (.ci/bootstrap), so files for other systems are left out. The locks hold
no address: pip takes the files from whatever index it is set to.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / ".ci" / "requirements.txt"
RUNTIME = ROOT / ".ci" / "runtime.txt"
DEMO = ROOT / ".ci" / "demo.txt"
AUDIT = ROOT / ".ci" / "audit.txt"
# wheels of pure Python, and of CPython 3.11 to 3.13 or its stable interface for glibc on the two usual processors
USABLE = re.compile(
    r"-(py3|py2\.py3|py3\d+|cp3\d+)-(none|abi3)-(any|.*manylinux.*_(x86_64|aarch64))\.whl$"
    r"|-(cp311|cp312|cp313)-(cp311|cp312|cp313)-.*manylinux.*_(x86_64|aarch64)\.whl$"
)


def main(arguments: list[str]) -> int:
    """Resolve, and write the locks; arguments go to uv, e.g. --upgrade-package NAME instead of --upgrade."""
    LOCK.write_text(resolved("--all-extras", "--group", "dev", *arguments), encoding="utf-8")
    within = ("--constraint", str(LOCK))
    RUNTIME.write_text(resolved("--group", "build", *within), encoding="utf-8")
    DEMO.write_text(resolved("--extra", "local", "--group", "demo", *within), encoding="utf-8")
    AUDIT.write_text(resolved("--group", "audit", source=()), encoding="utf-8")
    return 0


def resolved(*arguments: str, source: tuple[str, ...] = ("pyproject.toml",)) -> str:
    """Return the lock of what pyproject.toml asks for; without a `source`, of a group alone."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "pylock.toml"
        command = [sys.executable, "-m", "uv", "pip", "compile", *source, "--quiet"]
        command += ["--universal", "--python-version", "3.11", "--format", "pylock.toml", "--output-file", str(written)]
        # one version for every Python: the image of the tests has another one than this machine (suite.py)
        command += ["--fork-strategy", "fewest"]
        subprocess.run([*command, *arguments], cwd=ROOT, check=True)
        packages = tomllib.loads(written.read_text(encoding="utf-8"))["packages"]
    return "".join(map(entry, packages))


def entry(package: dict[str, Any]) -> str:
    """Return a package as pip reads it, '' for one of which no file is for Linux."""
    files = [file for file in package.get("wheels", ()) if USABLE.search(file["url"])]
    if "wheels" in package and not files:
        return ""
    hashes = {file["hashes"]["sha256"] for file in (*files, *filter(None, [package.get("sdist")]))}
    marker = f" ; {package['marker']}" if "marker" in package else ""
    lines = [
        f"{package['name']}=={package['version']}{marker}",
        *(f"    --hash=sha256:{one}" for one in sorted(hashes)),
    ]
    return " \\\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["--upgrade"]))
