"""The PostgreSQL packages on this machine, and a private copy that can hold extension files of its own.

PostgreSQL finds its share and library folders relative to its own program, so a copied `bin` beside symlinked
folders is a complete installation: the stand-in's extension files go there, and nothing outside is touched.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autosync_db import resources
from autosync_db.errors import UsageError

_ROOT = Path("/usr/lib/postgresql")
_NEEDED = {"pg_cron": "-cron", "pgextwlist": "-pgextwlist"}


@dataclass(frozen=True, slots=True)
class Installation:
    """Server programs of one major version, as Debian lays them out."""

    major: int
    prefix: Path

    @property
    def bin(self) -> Path:
        """Return the folder of the server's programs."""
        return self.prefix / "lib" / "postgresql" / str(self.major) / "bin"

    @property
    def libraries(self) -> Path:
        """Return the folder of loadable modules."""
        return self.prefix / "lib" / "postgresql" / str(self.major) / "lib"

    @property
    def share(self) -> Path:
        """Return the folder of extension scripts and samples."""
        return self.prefix / "share" / "postgresql" / str(self.major)

    @property
    def has_real_pg_net(self) -> bool:
        """Whether pg_net itself is installed, so that no stand-in is needed."""
        return (self.libraries / "pg_net.so").exists() and (self.share / "extension" / "pg_net.control").exists()


def find(major: int | None = None) -> Installation:
    """Return the newest installed server that has pg_cron and pgextwlist, or the one asked for.

    Raises UsageError naming the packages to install when there is none.
    """
    majors = sorted((int(folder.name) for folder in _ROOT.glob("*") if re.fullmatch(r"\d+", folder.name)), reverse=True)
    missing: list[str] = []
    for candidate in majors if major is None else [major]:
        found = Installation(candidate, Path("/usr"))
        absent = [
            f"postgresql-{candidate}{suffix}"
            for library, suffix in _NEEDED.items()
            if not (found.libraries / f"{library}.so").exists()
        ]
        if not (found.bin / "postgres").exists():
            absent.insert(0, f"postgresql-{candidate}")
        if not absent:
            return found
        missing = missing or absent
    packages = " ".join(missing or ["postgresql-15", "postgresql-15-cron", "postgresql-15-pgextwlist"])
    raise UsageError(
        "the local stack needs packages that are not installed",
        hint=f"run: sudo apt-get install --no-install-recommends {packages}",
    )


def copy(source: Installation, prefix: Path, *, stand_in: bool) -> Installation:
    """Make a private installation under `prefix`, with the pg_net stand-in's files when `stand_in` is true."""
    private = Installation(source.major, prefix)
    if private.bin.parent.exists():
        shutil.rmtree(prefix)
    private.bin.parent.mkdir(parents=True)
    shutil.copytree(source.bin, private.bin)
    private.libraries.symlink_to(source.libraries)
    private.share.mkdir(parents=True)
    for entry in source.share.iterdir():
        if entry.name != "extension":
            (private.share / entry.name).symlink_to(entry)
    extensions = private.share / "extension"
    extensions.mkdir()
    for entry in (source.share / "extension").iterdir():
        if not (stand_in and entry.name.startswith("pg_net")):
            (extensions / entry.name).symlink_to(entry)
    if stand_in:
        with stand_in_files() as files:
            for entry in files:
                shutil.copyfile(entry, extensions / entry.name)
    return private


@contextmanager
def stand_in_files() -> Iterator[list[Path]]:
    """Yield the extension files of the pg_net stand-in, beside which its worker's modules lie."""
    with resources.folder("autosync_db/local/pg_net") as folder:
        yield [*folder.glob("*.control"), *folder.glob("*.sql")]
