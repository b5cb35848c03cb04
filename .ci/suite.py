"""Run the whole test suite inside one container, on the image's PostgreSQL and Python, and pass its exit status on.

Arguments go to pytest; `--database` alone builds the image of the database and runs nothing. Why one container and not
one per cluster: docs/guides/containers.md. AUTOSYNC_TEST_IMAGE names another database image than the project's own,
AUTOSYNC_TEST_PYTHON another Debian package of Python than its default.
"""

import hashlib
import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

os.environ.setdefault(
    "TESTCONTAINERS_RYUK_DISABLED", "true"
)  # its image cannot be had everywhere; see remove_leftovers

import docker
from testcontainers.core.container import DockerContainer

from autosync_db.local import engine

ROOT = Path(__file__).resolve().parents[1]
LABEL = "autosync-db.suite"
IMAGE = "localhost/autosync-db/suite"
CHECKOUT = "/checkout"
# what .ci/bootstrap installs depends on these alone
INSTALLED_FROM = (
    *(".ci/bootstrap", ".ci/requirements.txt", ".ci/supabase-cli/deno.json", ".ci/supabase-cli/deno.lock"),
    *(".ci/axe-core/deno.json", ".ci/axe-core/deno.lock"),
    *("pyproject.toml", "README.md", "autosync_db/__init__.py"),
)
# without libraries of their own, fetched by the bootstrap of this machine
FETCHED = (".venv/supabase-cli", ".venv/axe-core")
EXPECTED = "postgresql=17 pg_cron=1.6 python=3.13"
# mirrors and proxies of the machine, and what chooses a run of the tests
HANDED_ON = ("DENO_", "NPM_CONFIG_", "PYTEST_", "AUTOSYNC_TEST_EXPECT", "AUTOSYNC_FUZZ", "CHAOS_")
CERTIFICATES = "/usr/local/share/autosync-certificates.crt"
MOST_SECONDS = 3600
PYTHON = os.environ.get("AUTOSYNC_TEST_PYTHON", "python3")


def main() -> int:
    """Build what is missing, run the suite, print what it prints."""
    if sys.argv[1:] == ["--database"]:
        database_image()
        return 0
    client = docker.from_env()
    remove_leftovers(client)
    image = suite_image(client)
    container = (
        DockerContainer(image)
        # as process 1, bash takes care of the servers that outlive pg_ctl; the end is for when nobody stops it
        .with_command(["bash", "-c", f"trap exit TERM; sleep {MOST_SECONDS} & wait $!"])
        # the clusters, whose programs are copied too; the second argument is any option of the mount
        .with_tmpfs_mount("/tmp", "exec,mode=1777")
        # root outside may read what the environment of the server's processes is; without this root in here may not
        .with_kwargs(labels={LABEL: str(os.getpid())}, auto_remove=True, shm_size="1g", cap_add=["SYS_PTRACE"])
    )
    with container:
        inside = container.get_wrapped_container()
        inside.put_archive(CHECKOUT, checkout())
        environment = variables()
        if bundle := certificates():
            inside.put_archive("/", archive({CERTIFICATES[1:]: bundle}))
            environment |= dict.fromkeys(("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"), CERTIFICATES)
        script = (
            "git init -q -b main && git add -A && .ci/bootstrap container && "
            'exec nice -n "$0" .venv/bin/pytest -p no:cacheprovider "$@"'
        )
        return stream(
            client,
            inside.id,
            ["bash", "-c", script, str(os.nice(0)), *sys.argv[1:]],
            environment,
        )


def remove_leftovers(client: docker.DockerClient) -> None:
    """Remove containers whose runner was killed before it could."""
    for found in client.containers.list(all=True, filters={"label": LABEL}):
        if not Path("/proc", found.labels[LABEL]).exists():
            found.remove(force=True, v=True)


def database_image() -> str:
    """Return the name of the image with PostgreSQL, built if it is the project's own and not there."""
    return os.environ.get("AUTOSYNC_TEST_IMAGE") or engine.build(engine.find("docker"), say=say)


def suite_image(client: docker.DockerClient) -> str:
    """Return the name of the image with everything but the checkout in it, built if it is not there."""
    database = database_image()
    digest = hashlib.sha256(f"{client.images.get(database).id} {PYTHON}".encode())
    for name in (*INSTALLED_FROM, ".ci/suite.Dockerfile"):
        digest.update((ROOT / name).read_bytes())
    image = f"{IMAGE}:{digest.hexdigest()[:16]}"
    if client.images.list(image):
        return image
    say("building the image of the test suite (a minute or two)")
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for name in INSTALLED_FROM:
            (context / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, context / "checkout" / name)
        for folder in FETCHED:
            if (ROOT / folder).exists():
                shutil.copytree(ROOT / folder, context / "checkout" / folder, symlinks=True)
        (context / "wheels").mkdir()
        build(context, database, "packages", f"{image}-packages")
        python = client.containers.run(f"{image}-packages", [PYTHON, "-c", PRINT_VERSION], remove=True).decode()
        quietly(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes",
                "--only-binary=:all:", "--python-version", python.strip(), "--dest", str(context / "wheels"),
                "--requirement", str(ROOT / ".ci/requirements.txt"),
            ]
        )  # fmt: skip
        build(context, database, None, image)
    client.images.remove(f"{image}-packages")
    for name in {tag for old in client.images.list(IMAGE) for tag in old.tags} - {image}:
        with suppress(docker.errors.APIError):  # another run may use it
            client.images.remove(name)
    return image


PRINT_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def build(context: Path, base: str, target: str | None, image: str) -> None:
    """Build one stage of .ci/suite.Dockerfile."""
    command = ["docker", "build", "--build-arg", f"BASE={base}", "--build-arg", f"PYTHON={PYTHON}", "--tag", image]
    command += ["--target", target] if target else []
    quietly([*command, "--file", str(ROOT / ".ci/suite.Dockerfile"), str(context)])


def quietly(command: list[str]) -> None:
    """Run a command whose output matters only when it fails; exit with it then."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nerror: this failed: {shlex.join(command)}")


def checkout() -> bytes:
    """Return the files of the working tree, uncommitted ones too, as an archive."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    return archive({name: ROOT / name for name in listed if name and (ROOT / name).is_file()})


def archive(files: dict[str, Path]) -> bytes:
    """Return files as a tar archive in which all belongs to root."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, path in files.items():
            entry = tar.gettarinfo(path, name)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            with path.open("rb") as content:
                tar.addfile(entry, content)
    return packed.getvalue()


def variables() -> dict[str, str]:
    """Return what the tests inside need to know of this machine."""
    found = {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith(HANDED_ON) or name.lower().endswith("_proxy")
    }
    return {"AUTOSYNC_TEST_EXPECT": EXPECTED, "CI": os.environ.get("CI", ""), **found}


def certificates() -> Path | None:
    """Return this machine's certificate authorities, where it has been given others than the usual ones."""
    named = os.environ.get("SSL_CERT_FILE")
    return Path(named).resolve() if named and Path(named).is_file() else None


def stream(client: docker.DockerClient, container: str, command: list[str], environment: dict[str, str]) -> int:
    """Run a command in a container, print its output as it comes, return its exit status."""
    made = client.api.exec_create(container, command, environment=environment, workdir=CHECKOUT)
    for chunk in client.api.exec_start(made["Id"], stream=True):
        sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
    return int(client.api.exec_inspect(made["Id"])["ExitCode"])


def say(message: str) -> None:
    """Print progress."""
    sys.stderr.write(message + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the container is removed
    sys.exit(main())
