"""Builds and runs the image without a container engine: overlays of this machine's own root in a mount namespace.

A stage is an overlay whose lower layer is the machine: what the steps write lies in memory and goes with the namespace.
The machine's Python stands in for the base image's. Wants root, unshare and nsenter, and a kernel that lets them work.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.processes import ROOT
from tests.deploy.dockerfile import Stage, Step, assignments, stages

PYTHON = Path(os.path.realpath(sys._base_executable)).parent  # type: ignore[attr-defined]
"""Where the base image's `python` and `pip` would be."""
BASE = {"PATH": f"{PYTHON}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
FROM_OUTSIDE = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|CERT|.*TIMEOUT)|SSL_CERT_FILE|.*_PROXY", re.IGNORECASE
)
"""What the machine needs to reach a package index, as arguments of a build would say it."""
STEP_LIMIT_SECONDS = 300
DEVICES = ("null", "zero", "random", "urandom")


class Namespace:
    """A mount namespace that lasts as long as its process, with a folder in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        script = f"mount -t tmpfs -o mode=755 tmpfs {folder} && echo mounted && exec cat"
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout
        self.problem = "" if (line := self._process.stdout.readline()) == b"mounted\n" else line.decode().strip()

    def entering(self, *arguments: str) -> list[str]:
        """The command that runs `arguments` inside."""
        return ["nsenter", "--mount", "--target", str(self._process.pid), "--", *arguments]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.entering(*arguments), capture_output=True, text=True, timeout=STEP_LIMIT_SECONDS, check=False
        )

    def do(self, script: str) -> None:
        done = self.run("sh", "-euc", script)
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"

    def seen(self, path: str) -> Path:
        """A path of the inside, as this process reaches it."""
        return Path(f"/proc/{self._process.pid}/root{path}")

    def close(self) -> None:
        self._process.communicate()


class Built:
    """The file system of a stage, and what its steps said about processes in it."""

    def __init__(self, namespace: Namespace, name: str, shown: tuple[str, str] = ("", "")) -> None:
        """`shown` are a folder of this machine and where it is seen inside; without one the project is out of sight."""
        self.namespace = namespace
        self.root = f"{namespace.folder}/{name}/root"
        self.environment = dict(BASE)
        self.workdir = "/"
        self.user = "0:0"
        place = f"{namespace.folder}/{name}"
        namespace.do(f"""
            mkdir -p {place}/upper {place}/work {place}/root
            mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {self.root}
            {shown_as(self.root, *shown)}
            mount -t tmpfs -o mode=755 tmpfs {self.root}/dev
            for name in {" ".join(DEVICES)}; do
                touch {self.root}/dev/$name; mount --bind /dev/$name {self.root}/dev/$name
            done
            mkdir -m 1777 {self.root}/dev/shm; mount -t tmpfs -o size=64m tmpfs {self.root}/dev/shm
            mount -t proc proc {self.root}/proc
        """)
        for folder in PYTHON.parents:  # a Python in somebody's home is everybody's in an image
            namespace.do(f"chmod o+rx {self.root}{folder}")

    def command(self, arguments: list[str], **environment: str) -> list[str]:
        """What runs `arguments` as a container's process: its user, no rights, its environment alone, its root."""
        user, _, group = self.user.partition(":")
        names = {**self.environment, **environment}
        return [
            *("chroot", self.root, "setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs"),
            *("--bounding-set", "-all", "--inh-caps", "-all") * (user != "0"),
            *("env", "-i", "-C", self.workdir, *(f"{name}={value}" for name, value in names.items()), *arguments),
        ]

    def run(self, arguments: list[str], **environment: str) -> "subprocess.CompletedProcess[str]":
        return self.namespace.run(*self.command(arguments, **environment))

    def process_one(self, arguments: list[str], **environment: str) -> list[str]:
        """What runs `arguments` as process 1 of process identifiers of its own."""
        script = f"mount -t proc proc {self.root}/proc && exec {shlex.join(self.command(arguments, **environment))}"
        return self.namespace.entering("unshare", "--pid", "--fork", "--kill-child", "--ipc", "sh", "-c", script)

    def seen(self, path: str) -> Path:
        return self.namespace.seen(self.root + path)

    def seal(self, *writable: str) -> None:
        """Read-only but for `writable`, which become empty and belong to its user: as --read-only and --tmpfs do."""
        user, _, group = self.user.partition(":")
        for path in writable:
            self.namespace.do(f"mount -t tmpfs -o uid={user},gid={group},mode=0700 tmpfs {self.root}{path}")
        self.namespace.do(f"mount -o remount,ro {self.root}")


def shown_as(root: str, folder: str, inside: str) -> str:
    if not folder:
        return f"mount -t tmpfs tmpfs {root}{ROOT}"
    return f"mkdir -p {root}{inside} && mount --bind -o ro {folder} {root}{inside}"


@contextlib.contextmanager
def built(text: str, folder: Path) -> Iterator[Built]:
    """The last stage of a Dockerfile, built. The namespace and all that is in it go with the block."""
    namespace = Namespace(folder)
    try:
        done: dict[str, Built] = {}
        for number, stage in enumerate(stages(text)):
            done[stage.name or str(number)] = image = Built(namespace, stage.name or str(number))
            perform(stage, image, done)
        yield image
    finally:
        namespace.close()


def perform(stage: Stage, image: Built, done: dict[str, Built]) -> None:
    for step in stage.steps:
        if step.keyword == "ENV":
            path = image.environment["PATH"]
            image.environment |= {name: value.replace("$PATH", path) for name, value in assignments(step).items()}
        elif step.keyword == "WORKDIR":
            image.workdir = step.rest
            image.seen(step.rest).mkdir(parents=True, exist_ok=True)
        elif step.keyword == "USER":
            image.user = step.rest
        elif step.keyword == "RUN":
            outside = {name: value for name, value in os.environ.items() if FROM_OUTSIDE.fullmatch(name)}
            ended = image.run(["sh", "-c", step.rest], **outside)
            assert ended.returncode == 0, f"{step.rest}\n{ended.stdout}{ended.stderr}"
        elif step.keyword == "COPY":
            copy(step, image, done)


def copy(step: Step, image: Built, done: dict[str, Built]) -> None:
    """From the project, or from an earlier stage. What is copied belongs to root, whatever USER says."""
    *sources, target = step.words
    if "from" in step.flags:
        (source,) = sources
        image.namespace.do(f"cp -a {done[step.flags['from']].root}{source} {image.root}{target}")
        return
    place = image.seen(str(Path(image.workdir, target)))
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, place)


def hindrance() -> str:
    """Why nothing can be built here; empty if it can."""
    missing = [name for name in ("unshare", "nsenter", "setpriv", "chroot") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (on Debian: util-linux)"
    if os.geteuid() != 0:
        return "only root may mount"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False
    )
    return f"no namespaces here: {done.stderr.strip()}" if done.returncode else ""
