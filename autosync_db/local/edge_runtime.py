"""The Edge Functions of a local stack: a Deno process with the gateway, the functions and the Data API."""

import shutil
import time
import tomllib
from pathlib import Path

import httpx

from autosync_db import resources, scaffold
from autosync_db.errors import UnreachableError, UsageError
from autosync_db.local import INSTALL, keys, process
from autosync_db.local.cluster import HOST, Server
from autosync_db.local.process import Process
from autosync_db.local.state import KeyKind, State

_READY_SECONDS = 60


def find_deno() -> str:
    """Return the path of the Deno program. Raises UsageError when it is not installed."""
    try:
        import deno

        return str(deno.find_deno_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("deno")
        if found is None:
            raise UsageError("the local stack needs Deno, which is not installed", hint=INSTALL) from None
        return found


def ship_functions(folder: Path) -> Path:
    """Return the folder of the shipped functions, copied into the stack's folder where it is not there yet."""
    target = folder / "functions"
    if not target.exists():
        scaffold.write_functions(target)
    return target


def start(folder: Path, state: State, database: Server, deno: str) -> Process:
    """Start the runtime of the stack in `folder` on the port that `state` names."""
    runtime = folder / "edge"
    shutil.rmtree(runtime, ignore_errors=True)
    with resources.folder("autosync_db/local/edge") as source:
        shutil.copytree(source, runtime)
    settings = folder / "functions.env"
    settings.touch(mode=0o600)
    settings.chmod(0o600)
    found = keys.load(folder)
    return process.start(
        [
            deno, "run", "--no-prompt", "--allow-net", "--allow-env", "--allow-read", "--allow-run",
            "--config", str(runtime / "deno.json"), str(runtime / "main.ts"),
        ],
        environment={
            "AUTOSYNC_EDGE_PORT": str(state.edge_port),
            "AUTOSYNC_FUNCTIONS_DIR": state.functions,
            "AUTOSYNC_FUNCTIONS_ENV_FILE": str(settings),
            "AUTOSYNC_VERIFY_JWT": _verify_jwt(Path(state.functions), state.key_kind),
            "AUTOSYNC_JWT_SECRET": found.jwt_secret.reveal(),
            "AUTOSYNC_DB_URL": database.url("authenticator").reveal(),
            "SUPABASE_ANON_KEY": found.anon.reveal(),
            "SUPABASE_SERVICE_ROLE_KEY": found.service.reveal(),
            "SUPABASE_DB_URL": database.url("postgres").reveal(),
            "DENO_DIR": str(folder / "deno"),
            "DENO_NO_UPDATE_CHECK": "1",
            "NO_COLOR": "1",
        },
        log=folder / "edge.log",
        folder=folder,
    )  # fmt: skip


def wait_until_ready(folder: Path, state: State) -> None:
    """Return when the runtime answers. Raises UnreachableError with the log's tail when it does not, or has ended."""
    url = f"http://{HOST}:{state.edge_port}/health"
    deadline = time.monotonic() + _READY_SECONDS
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline and state.runs("edge"):
            try:
                if client.get(url).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
    log = folder / "edge.log"
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
    raise UnreachableError("the Edge Functions did not start: " + " | ".join(tail), hint=f"read {log}")


def _verify_jwt(functions: Path, key_kind: KeyKind) -> str:
    """Return for which functions the gateway verifies JWTs: as config.toml says, beside them or one folder above.

    Without an entry it does, as the platform would. A secret key is no JWT, so with one only the function checks it.
    """
    chosen: dict[str, bool] = {}
    for path in (functions.parent / "config.toml", functions / "config.toml"):
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("functions", {})
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path} cannot be read: {error}", hint="correct it") from None
        chosen |= {
            name: entry["verify_jwt"]
            for name, entry in entries.items()
            if isinstance(entry, dict) and isinstance(entry.get("verify_jwt"), bool)
        }
    default = "true" if key_kind == "legacy" else "false"
    return ",".join([default, *(f"{name}={str(verify).lower()}" for name, verify in sorted(chosen.items()))])
