"""What the service unit runs, word by word, under as much of its confinement as can be had without systemd.

A user without rights, a read-only system, no page both written and executed, the folders that systemd would make.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.processes import ROOT, Server, free_port, started
from proxy_pkg.config import env_file
from tests.deploy.engine import PYTHON, Built, Namespace, hindrance
from tests.fakes.bodies import ANTHROPIC, NUMBERED, literal
from tests.fakes.client import ask
from tests.fakes.upstream import Upstream
from tests.system.patience import eventually

UNITS = ROOT / "deploy/systemd"
UNIT = (UNITS / "proxy_pkg.service").read_text()
SETTINGS = "/etc/proxy_pkg/environment"
SECRETS = re.findall(r"^EnvironmentFile=-(\S+)$", UNIT, re.MULTILINE)
TOKEN = "a-token-of-some-length"
FOLDERS = ("/run/proxy_pkg", "/var/lib/proxy_pkg")
BODY = ANTHROPIC.body(literal(NUMBERED))
DENY_WRITE_EXECUTE = (
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""MemoryDenyWriteExecute= as PR_SET_MDWE(2const); kernels before 6.3 do not know it, and nothing is denied."""

pytestmark = pytest.mark.skipif(bool(hindrance()), reason=hindrance() or "it can")


def commands(directive: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(rf"^{directive}=(.+)$", UNIT, re.MULTILINE)]


class Service:
    """The unit in a system of its own, with the settings of environment.example and those that a test adds."""

    def __init__(self, system: Built, upstream: Upstream, folder: Path) -> None:
        self.system = system
        self.port = free_port()
        self.log = folder / "log"
        targets = [f"{name}_TARGET_API_URL={upstream.url}" for name in ("ANTHROPIC", "OPENAI", "GEMINI")]
        self.lines = [f"HEADROOM_PORT={self.port}", *targets]

    def say(self, *lines: str) -> None:
        """Write the file of the settings."""
        text = (UNITS / "environment.example").read_text()
        self.system.seen(SETTINGS).write_text("\n".join((text, *self.lines, *lines, "")))

    def keep(self, *lines: str) -> None:
        """Write the file of what is secret, for root alone, and read it as the manager does."""
        (path,) = SECRETS
        file = self.system.seen(path)
        file.touch(0o600)
        file.write_text("\n".join((*lines, "")))
        self.system.environment |= env_file.parse(file.read_text()).values

    def by_root(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """What the unit says that root may type, in the root of the service."""
        shown = re.search(r"^#   (\S+/proxyctl) status (.+)$", UNIT, re.MULTILINE)
        assert shown
        words = ["env", "-i", shown[1], *arguments, *shlex.split(shown[2].replace("8787", str(self.port)))]
        inside = self.system.namespace.entering("chroot", self.system.root, *words)
        return subprocess.run(inside, capture_output=True, text=True, timeout=30, check=False)

    def command(self, arguments: list[str]) -> list[str]:
        words = [PYTHON / "python3", "-c", DENY_WRITE_EXECUTE, *arguments]
        return self.system.namespace.entering(*self.system.command([str(word) for word in words]))

    def run(self, arguments: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(arguments), capture_output=True, text=True, timeout=30, check=False)

    @contextmanager
    def serving(self) -> Iterator[Server]:
        (before,), (start,) = commands("ExecStartPre"), commands("ExecStart")
        checked = self.run(before)
        assert checked.returncode == 0, checked.stderr
        with started(self.command(start), self.port, self.log, "/readyz", dict(os.environ)) as server:
            yield server

    def reload(self, server: Server) -> str:
        """What was said against it; empty if the last command was reached."""
        *checks, (*kill, pid) = commands("ExecReload")
        assert pid == "$MAINPID"
        for check in checks:
            done = self.run(check)
            if done.returncode:
                return done.stderr
        subprocess.run([*kill, str(server.master_pid)], check=True)
        return ""


@pytest.fixture
def service(upstream: Upstream, tmp_path: Path) -> Iterator[Service]:
    place = tmp_path / "namespace"
    place.mkdir()
    namespace = Namespace(place)
    try:
        system = Built(namespace, "system", shown=(str(ROOT), "/opt/proxy_pkg"))
        system.workdir, system.user = "/opt/proxy_pkg", "61234:61234"
        named = re.findall(r"^Environment=(\w+)=(\S+)$", UNIT, re.MULTILINE)
        system.environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **dict(named), "RUNTIME_DIRECTORY": FOLDERS[0]}
        for folder in (*FOLDERS, str(Path(SETTINGS).parent)):
            system.seen(folder).mkdir(parents=True, exist_ok=True)
        made = Service(system, upstream, tmp_path)
        system.seal(*FOLDERS, str(Path(SETTINGS).parent))
        made.say()
        system.namespace.do(f"chmod 711 {system.root}{Path(SETTINGS).parent}; chmod 644 {system.root}{SETTINGS}")
        yield made
    finally:
        namespace.close()


def test_it_starts_serves_and_stops_where_only_its_folders_can_be_written(service: Service, upstream: Upstream) -> None:
    with service.serving() as server:
        answer = ask(service.port, "POST", "/v1/messages", (), BODY)
        assert answer.header("x-headroom-decision").startswith("rewritten")
        assert Path(f"/proc/{server.master_pid}").stat().st_uid == 61234
        assert "NoNewPrivs:\t1" in Path(f"/proc/{server.master_pid}/status").read_text()
        assert ask(service.port, "GET", "/stats").json()["answered_by"]["counts_shared"]
        assert list(service.system.seen(FOLDERS[0]).rglob("*.counters"))
    assert server.process.returncode == 0
    said = service.log.read_text()
    assert "Read-only" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("attempt", "refused"),
    [
        ("open('/opt/proxy_pkg/proxy_pkg/new', 'w')", "Read-only file system"),
        ("tempfile.TemporaryFile(dir='/tmp')", "Read-only file system"),
        ("os.setuid(0)", "Operation not permitted"),
        ("mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", "Permission denied"),
    ],
)
def test_the_confinement_of_these_tests_holds(attempt: str, refused: str, service: Service) -> None:
    if "mmap" in attempt and tuple(map(int, os.uname().release.split(".")[:2])) < (6, 3):
        pytest.skip("this kernel does not know PR_SET_MDWE")
    done = service.run([str(PYTHON / "python3"), "-c", f"import mmap, os, tempfile; {attempt}"])
    assert refused in done.stderr


def test_a_broken_file_of_settings_is_refused_and_a_mended_one_taken(service: Service) -> None:
    with service.serving() as server:
        before = set(server.worker_pids)
        service.say("HEADROOM_COMPRESSION=a little")
        assert "HEADROOM_COMPRESSION" in service.reload(server)
        assert set(server.worker_pids) == before
        service.say("HEADROOM_COMPRESSION=observe")
        assert service.reload(server) == ""
        eventually(lambda: server.worker_pids and not before & set(server.worker_pids))
        answer = ask(service.port, "POST", "/v1/messages", (), BODY)
        assert answer.header("x-headroom-decision").startswith("observed")


def test_totals_lie_in_the_state_directory_if_the_settings_say_so(service: Service) -> None:
    service.say("HEADROOM_STATE_DIR=/var/lib/proxy_pkg/state")
    with service.serving():
        assert list(service.system.seen("/var/lib/proxy_pkg/state").rglob("*.counters"))
        assert list(service.system.seen(FOLDERS[0]).iterdir()) == []


def test_a_broken_file_of_settings_ends_the_start_with_its_reason(service: Service) -> None:
    service.say("HEADROOM_WORKERS=many")
    done = service.run(commands("ExecStartPre")[0])
    assert done.returncode == 1
    assert "HEADROOM_WORKERS" in done.stderr


def test_secrets_come_from_a_file_that_the_service_cannot_read(service: Service) -> None:
    (path,) = SECRETS
    service.say("HEADROOM_HOST=0.0.0.0")
    refused = service.run(commands("ExecStartPre")[0])
    assert (refused.returncode, "HEADROOM_PROXY_TOKEN" in refused.stderr) == (1, True)
    service.keep(f"HEADROOM_PROXY_TOKEN={TOKEN}")
    assert "Permission denied" in service.run([str(PYTHON / "python3"), "-c", f"open('{path}')"]).stderr
    assert service.run(commands("ExecStartPre")[0]).returncode == 0
    service.say()
    with service.serving():
        assert ask(service.port, "GET", "/stats").status == 403


def test_root_may_ask_reload_and_drain_it(service: Service) -> None:
    with service.serving() as server:
        before = set(server.worker_pids)
        told = service.by_root("status")
        assert (told.returncode, told.stderr) == (0, "")
        assert f"master {server.master_pid}" in told.stdout
        found = service.by_root("doctor", "--offline")
        assert (found.returncode, "chown" in found.stdout) == (0, False), found
        assert service.by_root("reload").returncode == 0
        assert not before & set(server.worker_pids)
        assert service.by_root("drain").stdout.endswith("The server has ended.\n")
