"""Writing files of the user's repository: whole sets of them, and nothing over what somebody changed."""

from collections.abc import Mapping
from pathlib import Path

from autosync_db import user_files
from autosync_db.errors import UsageError
from autosync_db.supabase import whole_file


def write(wanted: Mapping[Path, bytes], elsewhere: str, *, force: bool) -> list[Path]:
    """Write the files that differ, or none: without `force` a file with another content is refused."""
    with user_files.refusals("read"):
        pending = {path: text for path, text in wanted.items() if not path.exists() or path.read_bytes() != text}
    if not force and (taken := [path for path in pending if path.exists()]):
        raise UsageError(
            f"{taken[0]} exists and differs" + (f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""),
            hint=f"compare it, then pass --force to overwrite, or {elsewhere} to write elsewhere",
        )
    with user_files.refusals():
        for path, text in pending.items():
            # whole, or a workflow that was cut off would run, and differ from what is to be written
            whole_file.write(path, text.decode(), replace=True)
    return list(pending)
